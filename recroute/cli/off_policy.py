"""recroute off-policy: what other routers would have scored on logged traffic."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from recroute.cli.options import (
    EncoderKind,
    JsonPath,
    Quiet,
    Seed,
    complete_router,
)
from recroute.cli.places import check_places
from recroute.cli.screen import console, progress_bar
from recroute.data import read_dataset
from recroute.errors import RecrouteError
from recroute.offpolicy import off_policy as estimate
from recroute.offpolicy import read_logs
from recroute.report import off_policy_table
from recroute.routers import Router, load_router, make_router


def off_policy(
    logs: Annotated[
        Path,
        typer.Argument(
            help="Logs (parquet, csv, jsonl): instance_id, llm_id, score, propensity and, unless --dataset has them, "
            "prompt. Or the folder where recroute serve keeps feedback."
        ),
    ],
    router: Annotated[
        list[str],
        typer.Option(
            "--router",
            help="Folder of a fitted router, or a registry name, which is fitted on other rows of the logs than it is "
            "judged on; repeated.",
            autocompletion=complete_router,
        ),
    ],
    dataset: Annotated[
        Path | None, typer.Option("--dataset", help="Where the logged instances' prompts, tasks and vectors are.")
    ] = None,
    reward_model: Annotated[
        str | None,
        typer.Option(
            "--reward-model",
            help="Router that predicts scores for the doubly robust estimate. Default: calibrated; without text "
            "best_single.",
        ),
    ] = None,
    epsilon: Annotated[
        float, typer.Option("--epsilon", min=0, max=1, help="Share of uniform choices of the judged routers.")
    ] = 0.0,
    temperature: Annotated[
        float, typer.Option("--temperature", min=0, help="Judged routers draw from their softmax; 0: the best LLM.")
    ] = 0.0,
    encoder: EncoderKind = "auto",
    seed: Seed = 0,
    json_path: JsonPath = None,
    quiet: Quiet = False,
) -> None:
    """Estimate other routers' mean score from a log of one router's choices, their probabilities and their scores.

    Example: recroute off-policy logs.parquet --router my_router --router hierarchy
    """
    check_places(json_path, inputs=(logs, dataset, *map(Path, router)))
    routers = _routers(router)
    log = read_logs(logs)
    known = None if dataset is None else read_dataset(dataset)
    with progress_bar(f"estimating from {log.source}", quiet) as progress:
        found = estimate(
            log,
            routers,
            known=known,
            reward_model=None if reward_model is None else _router(reward_model),
            encoder=encoder,
            epsilon=epsilon,
            temperature=temperature,
            seed=seed,
            progress=progress,
        )
    if json_path is not None:
        found.write_json(json_path, ["recroute", *sys.argv[1:]])
    screen = console(quiet, json_path)
    screen.print(off_policy_table(found))
    for line in found.sentences():
        screen.print(line, markup=False)
    for note in found.notes:
        screen.print(f"note: {note}", style="yellow", markup=False)


def _routers(names: Sequence[str]) -> dict[str, Router]:
    """Fitted routers by the name of their folder, others by their label."""
    found: dict[str, Router] = {}
    for name in names:
        router = _router(name)
        label = router.label if not Path(name).is_dir() else Path(name).resolve().name
        if label in found:
            raise RecrouteError(f"two routers are called {label!r}; name each once, and folders differently")
        found[label] = router
    return found


def _router(name: str) -> Router:
    return load_router(name) if Path(name).is_dir() else make_router(name)
