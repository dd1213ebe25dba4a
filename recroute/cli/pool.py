"""recroute pool: the few LLMs worth deploying."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from recroute.cli.options import (
    DatasetPath,
    EncoderKind,
    JsonPath,
    MinCoverage,
    Quiet,
    Seed,
    Seeds,
    SplitKind,
    complete_router,
    encode_prompts,
)
from recroute.cli.outputs import CsvPath, HtmlPath, Outputs, PngPath, file_digests
from recroute.cli.screen import progress_bar
from recroute.data import read_dataset, write_dataset
from recroute.pool_choice import choose_pool
from recroute.report import pool_plot, pool_tables, save_pool_png, write_pool_html


def pool(
    dataset: DatasetPath,
    size: Annotated[int, typer.Option("--size", min=1, help="LLMs in the pool; all smaller ones are shown.")] = 5,
    router: Annotated[
        str,
        typer.Option(
            "--router", help="What will choose among them: registry name or saved TOML.", autocompletion=complete_router
        ),
    ] = "auto",
    objective: Annotated[
        str, typer.Option("--objective", help="routed: what the router reaches; oracle: the best score in the pool.")
    ] = "routed",
    keep: Annotated[str, typer.Option("--keep", help="LLMs that have to be in it: a,b.")] = "",
    budget: Annotated[
        float | None,
        typer.Option("--budget", min=0, help="Leave out LLMs that cost more USD per 1,000 prompts on average."),
    ] = None,
    split: SplitKind = None,
    encoder: EncoderKind = "auto",
    min_coverage: MinCoverage = 0.0,
    seed: Seed = 0,
    seeds: Seeds = 1,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write a dataset folder with the chosen LLMs only, for fit, scale and the others."),
    ] = None,
    json_path: JsonPath = None,
    html: HtmlPath = None,
    png: PngPath = None,
    csv: CsvPath = None,
    quiet: Quiet = False,
) -> None:
    """The few LLMs worth deploying: chosen on train, judged on test, beside all_strong, random pools and all LLMs.

    Example: recroute pool my_dataset --size 5 --keep my-llm --seeds 5 --out my_pool --html pool.html
    """
    outputs = Outputs(json=json_path, html=html, png=png, csv=csv)
    outputs.check(dataset, router, folders={} if out is None else {out: "records.parquet"})
    screen = outputs.screen(quiet)
    digests = file_digests(dataset)
    data = read_dataset(dataset).take_covered(min_coverage)
    encoded = encode_prompts(data, encoder, screen)
    with progress_bar(f"pools of {data.name}", quiet) as progress:
        found = choose_pool(
            encoded,
            size,
            router=router,
            objective=objective,
            keep=[name.strip() for name in keep.split(",") if name.strip()],
            budget=budget,
            split=split,
            encoder=encoder,
            seeds=range(seed, seed + seeds),
            progress=progress,
        )
    found = found.with_info(
        command=["recroute", *sys.argv[1:]], dataset={**found.info["dataset"], "sha256": dict(digests)}
    )
    if out is not None:
        chosen = data.take_llms(data.llm_ids.to_index(found.llms))
        write_dataset(replace(chosen, pools=None), out)
    outputs.write_files(found, write_pool_html, save_pool_png)
    for table in pool_tables(found):
        screen.print(table)
    screen.print(pool_plot(found))
    if out is not None:
        screen.print(f"{out} has the {len(found.llms)} LLMs: recroute fit {out} --out my_router", markup=False)
    for line in found.sentences():
        screen.print(line, markup=False)
    for note in found.notes:
        screen.print(f"note: {note}", style="yellow", markup=False)
    if not found.info["complete"]:
        raise typer.Exit(130)
