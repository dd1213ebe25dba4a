"""What has been observed since the fit moves the predictions, and by no more than it says."""

import numpy as np, polars as pl, pytest
from recroute.data import Dataset
from recroute.data.feedback import Feedback
from recroute.routers import make_router, load_router


def test_smoke(planted: Dataset, tmp_path):
    rows = np.arange(planted.n_instances)
    train, later = planted.take_instances(rows[::2]), planted.take_instances(rows[1::2])
    for name in ("auto", "knn", "svd", "best_single", "budgeted(router=knn,trade_off=20)"):
        from recroute.testing import planted_dataset

        d = planted_dataset(costs=True)
        train, later = d.take_instances(rows[::2]), d.take_instances(rows[1::2])
        r = make_router(name).fit(train)
        c = r.rank(later).llm_index[:, 0]
        S = later.interactions.dense()
        t = pl.DataFrame(
            {
                "instance_id": later.instance_ids.ids,
                "llm_id": [r.llm_ids_.ids[j] for j in c],
                "score": 1 - S[np.arange(len(S)), c],
                "prompt": later.prompts,
            }
        )
        f = r.refresh(Feedback(t))
        print(name, f.label, getattr(f, "chosen_", None), f.rank(later).llm_index[:5, 0], c[:5])
        two = r.refresh(Feedback(t[:50])).refresh(Feedback(t[50:]))
        np.testing.assert_allclose(two.score(later), f.score(later), atol=1e-5)
        f.save(tmp_path / name)
        np.testing.assert_array_equal(load_router(tmp_path / name).score(later), f.score(later))
