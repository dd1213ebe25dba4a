"""recroute coldstart: how few prompts suffice for an LLM that nobody has evaluated."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from recroute.cli.evaluate import evaluate
from recroute.cli.options import (
    DATA,
    DEFAULT_ROUTERS,
    DatasetPath,
    EncoderKind,
    JsonPath,
    MinCoverage,
    Quiet,
    Seed,
    SplitKind,
    complete_router,
    encode_prompts,
    whole_numbers,
)
from recroute.cli.outputs import CsvPath, HtmlPath, Outputs, PngPath, file_digests
from recroute.cli.screen import progress_bar
from recroute.coldstart import coldstart as measure
from recroute.data import read_dataset
from recroute.report import coldstart_tables, save_coldstart_png, write_coldstart_html

INSTANCES = ("task", "benchmark")


def coldstart(
    context: typer.Context,
    dataset: DatasetPath,
    router: Annotated[
        list[str] | None,
        typer.Option(
            "--router",
            help="Measure routing with this router; repeated. Default: auto.",
            autocompletion=complete_router,
        ),
    ] = None,
    anchors: Annotated[str, typer.Option("--anchors", help="Numbers of prompts that are run.")] = (
        "0,1,2,4,8,16,32,64,128"
    ),
    strategy: Annotated[
        str, typer.Option("--strategy", help="Of active, random, stratified, medoids, d_optimal, a_optimal.")
    ] = "random,active",
    holdout: Annotated[
        str | None,
        typer.Option(
            "--holdout",
            help="Who plays the unseen LLMs: family (whole families, the default where they are known) or random. "
            "task or benchmark: cold instances instead, each kind of prompt in turn.",
        ),
    ] = None,
    split: SplitKind = None,
    encoder: EncoderKind = "auto",
    pool_size: Annotated[int, typer.Option("--pool-size", min=2, help="LLMs in a pool.")] = 10,
    min_coverage: MinCoverage = 0.0,
    seed: Seed = 0,
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, help="Number of seeds, counted up from --seed.", rich_help_panel=DATA)
    ] = 5,
    json_path: JsonPath = None,
    html: HtmlPath = None,
    png: PngPath = None,
    csv: CsvPath = None,
    quiet: Quiet = False,
) -> None:
    """Known LLMs play unseen ones: what a few of their answers tell of the rest, and how well routing to them works.

    Example: recroute coldstart my_dataset --router auto --anchors 0,4,16,64 --html coldstart.html
    """
    outputs = Outputs(json=json_path, html=html, png=png, csv=csv)
    names = router or DEFAULT_ROUTERS
    outputs.check(dataset, *names)
    screen = outputs.screen(quiet)
    if holdout in INSTANCES:
        screen.print(f"cold instances: the same as recroute evaluate --holdout {holdout}")
        evaluate(
            context,
            dataset,
            router=names,
            split=split,
            holdout=holdout,
            encoder=encoder,
            min_coverage=min_coverage,
            seed=seed,
            seeds=seeds,
            json_path=json_path,
            html=html,
            png=png,
            csv=csv,
            quiet=quiet,
        )
        return
    digests = file_digests(dataset)
    data = encode_prompts(read_dataset(dataset).take_covered(min_coverage), encoder, screen)
    with progress_bar(f"cold start on {data.name}", quiet) as progress:
        found = measure(
            data,
            names,
            strategies=[name.strip() for name in strategy.split(",") if name.strip()],
            anchors=whole_numbers(anchors, "--anchors"),
            holdout=holdout,
            split=split,
            encoder=encoder,
            pool_size=pool_size,
            n_seeds=seeds,
            seed=seed,
            progress=progress,
        )
    found = found.with_info(
        command=["recroute", *sys.argv[1:]], dataset={**found.info["dataset"], "sha256": dict(digests)}
    )
    outputs.write_files(found, write_coldstart_html, save_coldstart_png)
    for table in coldstart_tables(found):
        screen.print(table)
    for line in found.sentences():
        screen.print(line, markup=False)
    for note in found.notes:
        screen.print(f"note: {note}", style="yellow", markup=False)
    if not found.info["complete"]:
        raise typer.Exit(130)
