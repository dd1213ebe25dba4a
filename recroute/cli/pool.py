"""recroute pool: the few LLMs worth deploying."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from recroute.cli.experiment import Asked, experiment
from recroute.cli.options import COST_OPTION, DATASET, ROUTER, Option
from recroute.data import write_dataset
from recroute.pool_choice.choose import PoolSettings, measure

OUT = Option("out", Path | None, None, help="Write the data set with the chosen LLMs only to this folder.")


@experiment(PoolSettings, DATASET, ROUTER, COST_OPTION, OUT)
def pool(asked: Asked) -> None:
    """The few LLMs worth deploying: chosen on train, judged on test, beside all_strong, random pools and all LLMs.

    Example: recroute pool my_dataset --size 5 --keep my-llm --seeds 5 --out my_pool --html pool.html
    """
    out, lines = asked.chosen.out, []
    asked.check(folders={} if out is None else {out: "records.parquet"})
    settings, (router,) = asked.settings, asked.routers()
    read = asked.read()
    data = asked.encoded(read)
    with asked.progress(f"pools of {data.name}") as progress:
        found = measure(settings, data, router, progress)
    if out is not None:
        chosen = read.take_llms(read.llm_ids.to_index(found.llms))
        write_dataset(replace(chosen, pools=None), out)
        lines = [f"{out} has the {len(found.llms)} LLMs: recroute fit {out} --out my_router"]
    asked.conclude(found, *lines)
