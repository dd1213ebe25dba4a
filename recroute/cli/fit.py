"""recroute fit: a router on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recroute.cli.budget import BUDGET, QUALITY, expectation, with_budget
from recroute.cli.options import (
    COST_OPTION,
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
from recroute.cli.screen import console
from recroute.data import Dataset
from recroute.evaluation.card import router_card
from recroute.experiment.prepare import prepare_split
from recroute.routers import Router, make_router
from recroute.routers.memory.grow import check_takes_unseen
from recroute.routers.storage import CARD
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


@verb(
    *(DATASET, OUT, ROUTER, SETTINGS, COST_OPTION, BUDGET, QUALITY, ENCODER, SPLIT, PRIOR, ATTEMPTS),
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
    data = read_data(chosen.dataset, chosen.cost, screen)
    # A saved router has to read raw prompts: precomputed vectors could not be made for them.
    encoder = chosen.encoder or ("tfidf" if data.prompts else "auto")
    parts = prepare_split(encode_prompts(data, encoder, screen), split=chosen.split, seed=seed, encoder=encoder)
    router.fit(parts.train)
    if chosen.prior:
        check_takes_unseen(router)
        router.remembered().prior()
    if chosen.attempts:
        _ = router.joint
    router.save(out, card=router_card(router, parts))
    if json_path is not None:
        write_json(json_path, {**_facts(router, data, parts), "out": str(out), **_expected(router)})
    reads = f", reads text by {router.encoder_.name}" if router.reads == "text" and router.encoder_ else ""
    screen.say(
        f"{router.label} fitted on {parts.train.n_instances} instances x {data.n_llms} LLMs of {data.name}"
        f"{' (SIMULATED DATA)' if data.card.get('simulated') else ''}{reads}: {out}",
        f"what it is good for, measured on test: {out / CARD}",
    )
    if (expected := expectation(router)) is not None:
        screen.say(expected)


def _facts(router: Router, data: Dataset, parts: Split) -> dict[str, Any]:
    return {
        "router": router.name,
        "hyperparameters": router.hyperparameters(),
        "dataset": data.name,
        "simulated": bool(data.card.get("simulated", False)),
        "n_train": parts.train.n_instances,
        "n_llms": data.n_llms,
        "encoder": router.encoder_.name if router.reads == "text" and router.encoder_ else None,
    }


def _expected(router: Router) -> dict[str, Any]:
    """What a router that weighs cost is expected to cost and to score."""
    return {} if (found := router.expected()) is None else {"expected": found}
