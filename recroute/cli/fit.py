"""recroute fit: a router on disk."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from recroute.cli.budget import BUDGET, QUALITY, expectation, with_budget
from recroute.cli.options import (
    COST_OPTION,
    DATA,
    DATASET,
    OUTPUTS,
    QUIET,
    ROUTER,
    SEED,
    SETTINGS,
    SPLIT,
    Option,
    encode_prompts,
    read_data,
    settings,
    verb,
)
from recroute.cli.places import check_places
from recroute.cli.screen import Screen, console, progress_bar
from recroute.data import Dataset
from recroute.data.folder import read_card
from recroute.data.parts import Parts
from recroute.errors import DataError, UnknownNameError
from recroute.evaluation.card import router_card
from recroute.experiment.prepare import prepare_split, with_vectors
from recroute.routers import Router, make_router
from recroute.routers.memory.grow import check_takes_unseen
from recroute.routers.storage import CARD
from recroute.routers.sums.fit import N_SAMPLE, check_follows_from_sums, fit_from_sums, fit_on_blocks
from recroute.routers.sums.learned import Learned
from recroute.routers.sums.spark import fit_on_spark
from recroute.splits import Split
from recroute.util.files import write_json

OUT = Option("out", Path, help="Folder of the fitted router.")
ENCODER = Option(
    "encoder",
    str | None,
    None,
    help="tfidf (default where there are prompts: it can read new ones), precomputed, or sentence:MODEL, which can "
    "read new ones too: the router's folder gets a copy of the model.",
)
PRIOR = Option(
    "prior", bool, False, flag="--prior", help="Learn now what the first `recroute onboard` would have to learn."
)

ATTEMPTS = Option(
    "attempts",
    bool,
    False,
    flag="--attempts",
    help="Learn the joint distribution of the LLMs' scores now, for `recroute route --tried` and --together.",
)

ENGINE = Option(
    "engine",
    str,
    "memory",
    help="memory; or, for data of any size, blocks (a folder of Parquet files, read in parts) or spark (a folder or "
    "URL that Spark reads): means, factors and regression weights from sums over all prompts, the rest from a sample. "
    "als is fitted on Spark by rr.fit_als_on_spark, in Python.",
    panel=DATA,
)
SAMPLE = Option(
    "sample", int, N_SAMPLE, help="Prompts in the sample of recroute fit --engine blocks or spark.", panel=DATA, low=1
)
TEST = Option(
    "test", int, 2_000, help="Prompts that recroute fit --engine blocks leaves out for testing.", panel=DATA, low=1
)
KEEP_SUMS = Option(
    "keep_sums",
    bool,
    False,
    flag="--keep-sums",
    help="Keep the sums over prompts, so that recroute refresh --add and --remove can take records in and out.",
)


@verb(
    *(DATASET, OUT, ROUTER, SETTINGS, COST_OPTION, BUDGET, QUALITY, ENCODER, SPLIT, PRIOR, ATTEMPTS),
    *(ENGINE, SAMPLE, TEST, KEEP_SUMS),
    *(SEED, OUTPUTS["json"], QUIET),
)
def fit(chosen: Any) -> None:
    """Fit a router on the training part of a data set and save it, with a card: its quality on test, and its limits.

    With --budget or --quality it weighs cost, and recroute route takes another budget without a new fit.

    Example: recroute fit my_dataset --router auto --budget 2.5 --out my_router
    """
    out, seed, json_path = chosen.out, chosen.seed, chosen.json_path
    check_places(json_path, folders={out: "router.json"}, inputs=(chosen.dataset, chosen.router))
    screen = console(chosen.quiet, json_path)
    router = make_router(chosen.router, **{"seed": seed, **settings(chosen.given or [])})
    router = with_budget(router, chosen.budget, chosen.quality)
    if chosen.engine not in _FITS:
        raise UnknownNameError("engine", chosen.engine, tuple(_FITS))
    parts = _FITS[chosen.engine](router, chosen, screen)
    sums = router.kept_sums_
    learned = None if sums is None or chosen.engine == "memory" else Learned.of(router, sums.moments.n)
    if not chosen.keep_sums:
        router.kept_sums_ = None
    if chosen.prior:
        check_takes_unseen(router)
        router.remembered().prior()
    if chosen.attempts:
        _ = router.joint
    router.save(out, card=None if parts is None else router_card(router, parts, learned=learned))
    facts = _facts(router, chosen.dataset, parts, learned)
    if json_path is not None:
        write_json(json_path, {**facts, "out": str(out), **_expected(router)})
    n_instances = f"{facts['n_train']:,} instances"
    reads = f", reads text by {router.encoder_.name}" if router.reads == "text" and router.encoder_ else ""
    screen.say(
        f"{router.label} fitted on {learned or n_instances} x {facts['n_llms']} LLMs of {facts['dataset']}"
        f"{' (SIMULATED DATA)' if facts['simulated'] else ''}{reads}: {out}",
        *([] if learned is None or not learned.note else [learned.note]),
        *([] if parts is None else [f"what it is good for, measured on test: {out / CARD}"]),
    )
    if (expected := expectation(router)) is not None:
        screen.say(expected)


def _fit_here(router: Router, chosen: Any, screen: Screen) -> Split:
    data = read_data(chosen.dataset, chosen.cost, screen)
    # A saved router has to read raw prompts: precomputed vectors could not be made for them.
    encoder = chosen.encoder or ("tfidf" if data.prompts else "auto")
    data = encode_prompts(data, encoder, screen)
    parts = prepare_split(data, split=chosen.split, seed=chosen.seed, encoder=encoder)
    if chosen.keep_sums:
        fit_from_sums(parts.train, router, keep_sums=True)
    else:
        router.fit(parts.train)
    return parts


def _fit_in_blocks(router: Router, chosen: Any, screen: Screen) -> Split:
    """Fit from sums; returns the sample as the training part, and the prompts that were left out for testing."""
    _check_large(router, chosen)
    found = Parts.read(chosen.dataset, n_test=chosen.test, n_sample=chosen.sample, seed=chosen.seed)
    train, test = found.sample("train"), found.sample("test")
    parts = Split(train, test.take_instances(np.zeros(0, dtype=np.int64)), test, "hash of the id", chosen.seed)
    parts = with_vectors(parts, chosen.encoder or ("tfidf" if train.prompts else "auto"))
    with found.blocks() as blocks, progress_bar("adding up", chosen.quiet) as progress:
        watched = _watched(blocks, lambda done: progress(done, found.n_parts))
        fit_on_blocks(router, parts.train, watched, keep_sums=True)
    return parts


def _fit_on_spark(router: Router, chosen: Any, screen: Screen) -> None:
    """Fit from sums that Spark adds up; nothing is measured."""
    _check_large(router, chosen)
    url = re.sub(r"^(\w+):/(?=[^/])", r"\1://", str(chosen.dataset))
    fit_on_spark(url, router, n_sample=chosen.sample, keep_sums=True, encoder=chosen.encoder)


def _watched(blocks: Iterable[Dataset], told: Callable[[int], None]) -> Iterator[Dataset]:
    for i, block in enumerate(blocks):
        yield block
        told(i + 1)


def _check_large(router: Router, chosen: Any) -> None:
    check_follows_from_sums(router)
    if chosen.split is not None or chosen.cost is not None:
        raise DataError("--split and --cost need all data in memory; leave them out, or use --engine memory")


_FITS: dict[str, Callable[[Router, Any, Screen], Split | None]] = {
    "memory": _fit_here,
    "blocks": _fit_in_blocks,
    "spark": _fit_on_spark,
}


def _facts(router: Router, folder: Path, parts: Split | None, learned: Learned | None) -> dict[str, Any]:
    if learned is None:
        assert parts is not None
        sizes = {"n_train": parts.train.n_instances}
    else:
        sizes = learned.to_dict()
    card = read_card(folder / "card.json") if parts is None else parts.train.card
    return {
        "router": router.name,
        "hyperparameters": router.hyperparameters(),
        "dataset": folder.name if parts is None else parts.train.name,
        "simulated": bool(card.get("simulated", False)),
        **sizes,
        "n_llms": len(router.llm_ids_),
        "encoder": router.encoder_.name if router.reads == "text" and router.encoder_ else None,
    }


def _expected(router: Router) -> dict[str, Any]:
    """What a router that weighs cost is expected to cost and to score."""
    return {} if (found := router.expected()) is None else {"expected": found}
