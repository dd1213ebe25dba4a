"""recroute demo: the whole story on a simulated pool."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recroute.cli.experiment import finish, with_origin, write_files
from recroute.cli.options import OUTPUTS, QUIET, SEED, Option, verb
from recroute.cli.places import check_places
from recroute.cli.screen import Screen, console, progress_bar
from recroute.data import Dataset, write_dataset
from recroute.data.sources import simulate
from recroute.evaluation.card import router_card
from recroute.evaluation.curves import plot_growth
from recroute.evaluation.evaluation import Evaluation
from recroute.evaluation.run import scale
from recroute.experiment.prepare import prepare_split
from recroute.report.figure import save_axes
from recroute.routers import Router, make_router
from recroute.routers.ranking import format_score
from recroute.util.files import write_text

POOL_SIZES = (3, 5, 10, 30, 100, 200)
ROUTERS = ("auto", "svd", "als")


OUT = Option("out", Path, Path("recroute-demo"), help="Folder for the data set, a fitted router and the curve.")


@verb(OUT, SEED, OUTPUTS["json"], QUIET)
def demo(chosen: Any) -> None:
    """Simulate 200 LLMs and 2,000 prompts, fit routers, and draw quality against pool size.

    Example: recroute demo --out recroute-demo
    """
    out, seed, json_path = chosen.out, chosen.seed, chosen.json_path
    check_places(json_path, folders={out / "dataset": "records.parquet", out / "router": "router.json"})
    data = simulate(seed=seed)
    write_dataset(data, out / "dataset")
    _write_table(data, out / "simulated_scores.csv")
    with progress_bar("fitting routers in growing pools", chosen.quiet) as progress:
        found = scale(
            data,
            ROUTERS,
            pool_sizes=POOL_SIZES,
            groups=["nested"],
            seeds=[seed, seed + 1, seed + 2],
            progress=progress,
        )
    axes = plot_growth(found.rows, title=f"{found.marked}routing quality as the pool grows")
    save_axes(axes, out / "growth.png")
    parts = prepare_split(data, seed=seed)
    router = make_router("auto", seed=seed).fit(parts.train)
    router.save(out / "router", card=router_card(router, parts))
    found = with_origin(found, {})
    write_files(found, {"json": json_path})

    _show(found, router, parts.test, out, console(chosen.quiet, json_path))
    finish(found)


def _show(found: Evaluation, router: Router, test: Dataset, out: Path, screen: Screen) -> None:
    """The curve, one prompt on its way, and what lies where."""
    facts = found.info["dataset"]
    screen.print(
        f"SIMULATED DATA: {facts['n_llms']} made-up LLMs x {facts['n_instances']:,} template prompts", style="bold"
    )
    found.show(screen)
    first = test.take_instances(np.array([0]))
    prompt = (first.prompts or [""])[0]
    choice = router.rank([prompt])
    screen.print(
        f"The fitted auto router sends the test prompt\n  {prompt!r}\nto {choice.names[0][0]} "
        f"(predicted score {format_score(choice.predicted_score[0, 0], '.2f')}; simulated).",
        markup=False,
    )
    screen.print(f'Try: recroute route {out / "router"} "your prompt" --top-k 3', markup=False)
    screen.print(f"Written to {out}: dataset/, simulated_scores.csv, router/, growth.png (all simulated)", markup=False)


def _write_table(data: Dataset, path: Path) -> None:
    """The scores as a person may have them: a row for each prompt, a column for each LLM."""
    scores = pl.from_numpy(data.interactions.dense(), schema=list(data.llm_ids), orient="row").fill_nan(None)
    write_text(path, data.instances.select("instance_id", "prompt", "task").hstack(scores).write_csv())
