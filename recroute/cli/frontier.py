"""recroute frontier: what quality costs."""

from __future__ import annotations

import sys

import recroute.evaluation as evaluation
from recroute.cli.budget import Cost
from recroute.cli.options import (
    DEFAULT_ROUTERS,
    DatasetPath,
    EncoderKind,
    JsonPath,
    MinCoverage,
    Quiet,
    RouterNames,
    Seed,
    Seeds,
    SplitKind,
    conclude,
    encode_prompts,
)
from recroute.cli.outputs import CsvPath, HtmlPath, Outputs, PngPath, file_digests
from recroute.cli.screen import progress_bar
from recroute.data import read_dataset
from recroute.report import frontier_tables, frontier_text, save_frontier_png, write_frontier_html
from recroute.routers import make_router


def frontier(
    dataset: DatasetPath,
    router: RouterNames = DEFAULT_ROUTERS,
    cost: Cost = None,
    split: SplitKind = None,
    encoder: EncoderKind = "auto",
    min_coverage: MinCoverage = 0.0,
    seed: Seed = 0,
    seeds: Seeds = 1,
    json_path: JsonPath = None,
    html: HtmlPath = None,
    png: PngPath = None,
    csv: CsvPath = None,
    quiet: Quiet = False,
) -> None:
    """Cost-quality curve of each router as cost counts more and more, beside single LLMs and their random mixtures.

    Example: recroute frontier my_dataset --router auto --router knn --seeds 5 --html frontier.html
    """
    outputs = Outputs(json=json_path, html=html, png=png, csv=csv)
    outputs.check(dataset, *router)
    screen = outputs.screen(quiet)
    routers = [make_router(name) for name in router]
    digests = file_digests(dataset)
    data = encode_prompts(read_dataset(dataset, cost=cost).take_covered(min_coverage), encoder, screen)
    with progress_bar(f"cost and quality on {data.name}", quiet) as progress:
        found = evaluation.frontier(
            data, routers, split=split, encoder=encoder, seeds=range(seed, seed + seeds), progress=progress
        )
    facts = {**found.info["dataset"], "sha256": dict(digests)}
    found = found.with_info(command=["recroute", *sys.argv[1:]], dataset=facts)
    outputs.write_files(found, write_frontier_html, save_frontier_png)
    for table in frontier_tables(found):
        screen.print(table)
    screen.print(frontier_text(found))
    conclude(found, screen)
