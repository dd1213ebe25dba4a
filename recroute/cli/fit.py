"""recroute fit: a router on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recroute.cli.budget import Budget, Cost, Quality, expectation, with_budget
from recroute.cli.options import (
    DatasetPath,
    JsonPath,
    Quiet,
    Seed,
    SplitKind,
    complete_router,
    encode_prompts,
    settings,
)
from recroute.cli.places import check_places
from recroute.cli.screen import console
from recroute.data import read_dataset
from recroute.evaluation import prepare_split, router_card
from recroute.routers import make_router
from recroute.routers.card import CARD
from recroute.routers.memory.grow import check_takes_unseen
from recroute.util.files import write_json


def fit(
    dataset: DatasetPath,
    out: Annotated[Path, typer.Option("--out", help="Folder of the fitted router.")],
    router: Annotated[
        str,
        typer.Option("--router", help="Registry name or saved configuration (TOML).", autocompletion=complete_router),
    ] = "auto",
    chosen_settings: Annotated[
        list[str] | None, typer.Option("--set", help="Hyperparameter as name=value; may be repeated.")
    ] = None,
    cost: Cost = None,
    budget: Budget = None,
    quality: Quality = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            "--encoder",
            help="tfidf (default where there are prompts: it can read new ones), precomputed, or sentence:MODEL, which "
            "can read new ones too: the router's folder gets a copy of the model.",
        ),
    ] = None,
    split: SplitKind = None,
    prior: Annotated[
        bool, typer.Option("--prior", help="Learn now what the first `recroute onboard` would have to learn.")
    ] = False,
    seed: Seed = 0,
    json_path: JsonPath = None,
    quiet: Quiet = False,
) -> None:
    """Fit a router on the training part of a data set and save it, with a card: its quality on test, and its limits.

    With --budget or --quality it weighs cost, and recroute route takes another budget without a new fit.

    Example: recroute fit my_dataset --router auto --budget 2.5 --out my_router
    """
    check_places(json_path, folders={out: "router.json"}, inputs=(dataset, router))
    screen = console(quiet, json_path)
    chosen = make_router(router, **{"seed": seed, **settings(chosen_settings or [])})
    chosen = with_budget(chosen, budget, quality)
    data = read_dataset(dataset, cost=cost)
    # A saved router has to read raw prompts: precomputed vectors could not be made for them.
    encoder = encoder or ("tfidf" if data.prompts else "auto")
    parts = prepare_split(encode_prompts(data, encoder, screen), split=split, seed=seed, encoder=encoder)
    chosen.fit(parts.train)
    if prior:
        check_takes_unseen(chosen)
        chosen.remembered().prior()
    chosen.save(out, card=router_card(chosen, parts))
    if json_path is not None:
        facts = {
            "router": chosen.name,
            "hyperparameters": chosen.hyperparameters(),
            "dataset": data.name,
            "simulated": bool(data.card.get("simulated", False)),
            "n_train": parts.train.n_instances,
            "n_llms": data.n_llms,
            "encoder": chosen.encoder_.name if chosen.reads == "text" and chosen.encoder_ else None,
            "out": str(out),
        }
        if (of_choices := chosen.expected()) is not None:
            facts |= {"expected": of_choices}
        write_json(json_path, facts)
    reads = f", reads text by {chosen.encoder_.name}" if chosen.reads == "text" and chosen.encoder_ else ""
    screen.print(
        f"{chosen.label} fitted on {parts.train.n_instances} instances x {data.n_llms} LLMs of {data.name}"
        f"{' (SIMULATED DATA)' if data.card.get('simulated') else ''}{reads}: {out}",
        markup=False,
        soft_wrap=True,
    )
    screen.print(f"what it is good for, measured on test: {out / CARD}", markup=False, soft_wrap=True)
    if (expected := expectation(chosen)) is not None:
        screen.print(expected, markup=False, soft_wrap=True)
