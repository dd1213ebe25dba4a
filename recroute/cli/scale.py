"""recroute scale: routing quality as the pool of candidate LLMs grows."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer
from rich.console import Console

import recroute.evaluation as evaluation
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
    numbers,
    whole_numbers,
)
from recroute.cli.outputs import CsvPath, HtmlPath, Outputs, PngPath, RunPath, file_digests, with_origin
from recroute.cli.screen import progress_bar
from recroute.data import read_dataset
from recroute.evaluation import Evaluation, LearningCurve, learning_curve
from recroute.report import growth_plot, growth_table, learning_plot, learning_table, published_table
from recroute.routers import make_router


def scale(
    context: typer.Context,
    dataset: DatasetPath,
    router: RouterNames = DEFAULT_ROUTERS,
    pool_sizes: Annotated[
        str | None,
        typer.Option("--pool-sizes", help="Sizes of the pools. Default: 3,5,10,100,1000; of own pools every size."),
    ] = None,
    groups: Annotated[
        str,
        typer.Option(
            "--groups",
            help="Of all_strong, all_weak, strong_to_weak, nested; or own: the pools that came with the data.",
        ),
    ] = "all_strong,all_weak,strong_to_weak",
    pool_basis: Annotated[
        str,
        typer.Option(
            "--pool-basis",
            help="Choose pools on train, or on all instances as RouterEval does (looks at test).",
        ),
    ] = "train",
    benchmark: Annotated[
        str | None, typer.Option("--benchmark", help="Only the instances of this benchmark, and its own pools.")
    ] = None,
    train_fractions: Annotated[
        str | None,
        typer.Option(
            "--train-fractions",
            help="Learning curves: fit on these numbers of the training instances, such as .01,.03,.1,.3,1.",
        ),
    ] = None,
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
    """Top-1 routing quality as the pool grows, beside oracle, r_o(p), random, best single, kNN and task known.

    With --train-fractions quality is shown against the number of training instances instead, averaged over the pools.

    Example: recroute scale my_dataset --router svd --pool-sizes 3,10,100 --seeds 5 --png growth.png
    """
    outputs = Outputs(json=json_path, run=out, html=html, png=png, csv=csv)
    outputs.check(dataset, *router)
    screen = outputs.screen(quiet)
    routers = [make_router(name) for name in router]
    fractions = None if train_fractions is None else numbers(train_fractions, "--train-fractions")
    sizes = None if pool_sizes is None else whole_numbers(pool_sizes, "--pool-sizes")
    digests = file_digests(dataset)
    data = read_dataset(dataset)
    if benchmark is not None:
        data = data.take_benchmark(benchmark)
    data = encode_prompts(data.take_covered(min_coverage), encoder, screen)
    with progress_bar(f"routing in growing pools of {data.name}", quiet) as progress:
        run = evaluation.scale if fractions is None else partial(learning_curve, train_fractions=fractions)
        found: Evaluation | LearningCurve = run(
            data,
            routers,
            pool_sizes=sizes,
            groups=[group.strip() for group in groups.split(",") if group.strip()],
            pool_basis=pool_basis,
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
    if isinstance(found, LearningCurve):
        outputs.write(with_origin(found, digests), context.params)
        screen.print(learning_table(found), learning_plot(found))
    else:
        outputs.write(with_origin(found, digests), context.params)
        _print_growth(found, screen)
    conclude(found, screen)


def _print_growth(found: Evaluation, screen: Console) -> None:
    screen.print(growth_table(found), growth_table(found, "best_single_ratio"))
    if found.info["published"]:
        screen.print(published_table(found))
    screen.print(growth_plot(found.rows))
    screen.print(found.passing(), markup=False)
