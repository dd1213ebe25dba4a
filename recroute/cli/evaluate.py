"""recroute evaluate: routing quality on the whole pool."""

from __future__ import annotations

import typer

import recroute.evaluation as evaluation
from recroute.cli.budget import Budget, Cost, Quality, with_budget
from recroute.cli.options import (
    DEFAULT_ROUTERS,
    Baseline,
    DatasetPath,
    EncoderKind,
    Headroom,
    Holdout,
    JsonPath,
    MinCoverage,
    Quiet,
    Reference,
    RouterNames,
    Seed,
    Seeds,
    Shuffle,
    SplitKind,
    conclude,
    encode_prompts,
)
from recroute.cli.outputs import CsvPath, HtmlPath, Outputs, PngPath, RunPath, file_digests, with_origin
from recroute.cli.screen import progress_bar
from recroute.data import read_dataset
from recroute.report.table import metric_table
from recroute.routers import make_router


def evaluate(
    context: typer.Context,
    dataset: DatasetPath,
    router: RouterNames = DEFAULT_ROUTERS,
    cost: Cost = None,
    budget: Budget = None,
    quality: Quality = None,
    split: SplitKind = None,
    holdout: Holdout = None,
    encoder: EncoderKind = "auto",
    reference: Reference = None,
    baseline: Baseline = "best_single",
    shuffle: Shuffle = None,
    headroom: Headroom = None,
    min_coverage: MinCoverage = 0.0,
    seed: Seed = 0,
    seeds: Seeds = 1,
    json_path: JsonPath = None,
    out: RunPath = None,
    html: HtmlPath = None,
    png: PngPath = None,
    csv: CsvPath = None,
    quiet: Quiet = False,
) -> None:
    """Top-1 routing quality with all LLMs as the pool, beside the baselines.

    With --budget or --quality the routers named weigh cost (see the router budgeted); the baselines do not.

    Example: recroute evaluate my_dataset --router svd --router als --seeds 5
    """
    outputs = Outputs(json=json_path, run=out, html=html, png=png, csv=csv)
    outputs.check(dataset, *router)
    screen = outputs.screen(quiet)
    routers = [with_budget(make_router(name), budget, quality) for name in router]
    digests = file_digests(dataset)
    data = encode_prompts(read_dataset(dataset, cost=cost).take_covered(min_coverage), encoder, screen)
    with progress_bar(f"evaluating on {data.name}", quiet) as progress:
        found = evaluation.evaluate(
            data,
            routers,
            split=split,
            holdout=holdout,
            encoder=encoder,
            reference=reference,
            baseline=baseline,
            shuffle=shuffle,
            headroom=headroom,
            seeds=range(seed, seed + seeds),
            progress=progress,
        )
    outputs.write(with_origin(found, digests), context.params)
    screen.print(metric_table(found))
    conclude(found, screen)
