import numpy as np
import pytest

from recroute.data import InteractionMatrix
from recroute.routers import make_router
from recroute.testing import planted_dataset


def test_factors_tell_success_from_failure() -> None:
    data = planted_dataset(n_instances=600, noise=0.0)
    predicted, scores = make_router("lmf").fit(data).score(data), data.interactions.dense()
    assert predicted[scores == 1].min() > predicted[scores == 0].max()


def test_graded_scores_weigh_success_against_failure() -> None:
    data = planted_dataset(n_instances=600, noise=0.0)
    graded = InteractionMatrix.from_dense(0.3 + 0.4 * data.interactions.dense())
    data = type(data)("graded", graded, data.instances, data.llms)
    predicted, scores = make_router("lmf").fit(data).score(data), graded.dense()
    assert predicted[scores > 0.5].mean() > predicted[scores < 0.5].mean() + 0.05
    assert predicted.mean() == pytest.approx(float(scores.mean()), abs=0.02)


def test_what_is_unobserved_is_not_taken_for_a_failure() -> None:
    data = planted_dataset(n_instances=600, noise=0.0)
    block = data.interactions.dense()
    block[::2, 4] = np.nan  # half of the records of LLM 4 are missing; its twin LLM 1 has all
    data = type(data)("half", InteractionMatrix.from_dense(block), data.instances, data.llms)
    predicted = make_router("lmf").fit(data).score(data)
    translate = data.tasks == "translate"
    assert predicted[translate, 4].mean() > predicted[translate][:, [0, 2, 3, 5]].mean() + 0.15
