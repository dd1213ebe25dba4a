"""recroute onboard: an LLM that nobody has evaluated, into a router; or one that is withdrawn, out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from recroute.cli.options import JsonPath, Quiet, Seed
from recroute.cli.places import check_places
from recroute.cli.screen import Screen, console
from recroute.coldstart.anchors import STRATEGIES
from recroute.coldstart.answers import read_results
from recroute.coldstart.onboard import Expectation, choices, expect, next_anchors, withdraw
from recroute.data import Dataset
from recroute.errors import RecrouteError, RouterError
from recroute.routers import Router, load_router
from recroute.routers.card import changed_card
from recroute.util.files import write_json, write_text

KNOWN = "What is known of the LLM"  # a panel of the help
Keep = Callable[[Mapping[str, Any]], None]  # writes what --json asks for
UNREADABLE = "the router cannot read its training prompts as text"


def onboard(
    router_dir: Annotated[Path, typer.Argument(help="Folder of a fitted router.")],
    out: Annotated[Path, typer.Option("--out", help="The file of prompts to run, or the folder of the new router.")],
    llm: Annotated[str | None, typer.Option("--llm", help="Id of the LLM to take in.")] = None,
    budget: Annotated[int | None, typer.Option("--budget", min=1, help="How many prompts to run on it.")] = None,
    results: Annotated[
        Path | None,
        typer.Option("--results", help="Its scores: CSV, JSONL or parquet with instance_id and score, or lm-eval's."),
    ] = None,
    adaptive: Annotated[
        bool, typer.Option("--adaptive", help="With --results so far and --budget: the prompts to run next.")
    ] = False,
    remove: Annotated[str | None, typer.Option("--remove", help="Id of an LLM to take out instead.")] = None,
    strategy: Annotated[
        str, typer.Option("--strategy", help=f"How prompts are chosen: {', '.join(STRATEGIES)}.")
    ] = "active",
    family: Annotated[
        str | None, typer.Option("--family", help="Family of the LLM, as the data set names it.", rich_help_panel=KNOWN)
    ] = None,
    n_params_b: Annotated[
        float | None, typer.Option("--n-params-b", min=0, help="Its parameters, in billions.", rich_help_panel=KNOWN)
    ] = None,
    price_in: Annotated[
        float | None, typer.Option("--price-in", min=0, help="USD per 1M tokens it reads.", rich_help_panel=KNOWN)
    ] = None,
    price_out: Annotated[
        float | None, typer.Option("--price-out", min=0, help="USD per 1M tokens it writes.", rich_help_panel=KNOWN)
    ] = None,
    seed: Seed = 0,
    json_path: JsonPath = None,
    quiet: Quiet = False,
) -> None:
    """Take an LLM that nobody has evaluated into a fitted router, from its answers to a few prompts.

    Example: recroute onboard my_router --llm new-llm --budget 16 --out anchors.csv

    Run the LLM on these prompts and add a column score, from 0 to 1. Then:
    recroute onboard my_router --llm new-llm --results anchors.csv --out my_router_2
    """
    writes_file = remove is None and (results is None or adaptive)
    _check_options(llm, budget, results, adaptive, remove)
    files, folders = ([json_path, out], {}) if writes_file else ([json_path], {out: "router.json"})
    check_places(*files, folders=folders, inputs=[results])
    check_places(*files, inputs=[router_dir])
    router = load_router(router_dir)
    screen = console(quiet, *files)

    def keep(facts: Mapping[str, Any]) -> None:
        if json_path is not None:
            write_json(json_path, {"router": router.label, **facts})

    if remove is not None:
        _remove(router, remove, out, changed_card(router_dir, f"LLM {remove} was taken out"), keep, screen)
        return
    assert llm is not None  # _check_options
    known = {"family": family, "n_params_b": n_params_b, "price_in": price_in, "price_out": price_out}
    table = pl.DataFrame({"llm_id": [llm], **{key: [value] for key, value in known.items() if value is not None}})
    scores, notes = (None, []) if results is None else read_results(results, llm, router.training_prompts)
    if writes_file:
        assert budget is not None  # _check_options
        found = expect(router, scores, table)
        anchors = next_anchors(router, budget, table, results=scores, strategy=strategy, seed=seed)
        _ask(found, anchors, strategy, out, keep, screen)
    else:
        answers = "no answer" if scores is None else f"{scores.interactions.n_observed:,} answers"
        card = changed_card(router_dir, f"LLM {llm} was taken in, from {answers}")
        _take_in(router, table, scores, out, card, keep, screen)
    screen.note(*notes)


def _check_options(
    llm: str | None, budget: int | None, results: Path | None, adaptive: bool, remove: str | None
) -> None:
    """One clear line for options that do not go together."""
    if (llm is None) == (remove is None):
        raise RecrouteError("name either an LLM to take in with --llm or one to take out with --remove")
    if remove is not None and (budget is not None or results is not None or adaptive):
        raise RecrouteError("--remove takes an LLM out; leave out --budget, --results and --adaptive")
    if remove is None and budget is None and (results is None or adaptive):
        raise RecrouteError("say with --budget how many prompts to run on the LLM, or give its scores with --results")
    if adaptive and results is None:
        raise RecrouteError("--adaptive chooses by the scores so far; give them with --results, or leave it out")
    if budget is not None and results is not None and not adaptive:
        raise RecrouteError("--results gives the new router; for the next prompts to run add --adaptive to --budget")


def _ask(found: Expectation, anchors: pl.DataFrame, strategy: str, out: Path, keep: Keep, screen: Screen) -> None:
    write_text(out, anchors.write_csv())
    keep({**found.to_dict(), "anchors": anchors["instance_id"].to_list(), "strategy": strategy, "out": str(out)})
    screen.show(found.document())
    of_task = anchors.group_by("task", maintain_order=True).len().sort("len", descending=True)
    counted = ", ".join(f"{count} of {task}" for task, count in of_task.iter_rows())
    screen.say(
        f"{anchors.height} prompts to run on {found.llm_id} ({counted}): {out}",
        "run them, add a column score (0 to 1), and give the file to --results",
    )


def _take_in(
    router: Router,
    table: pl.DataFrame,
    scores: Dataset | None,
    out: Path,
    card: str | None,
    keep: Keep,
    screen: Screen,
) -> None:
    found = expect(router, scores, table)
    grown = router.add_llms(scores, table)
    try:
        chosen, _ = choices(grown)
        share = float((chosen == len(router.llm_ids_)).mean())
    except RouterError:  # its training prompts have neither text nor vectors
        share = None
    grown.save(out, card=card)
    keep({**found.to_dict(), "chosen_share": share, "n_llms": len(grown.llm_ids_), "out": str(out)})
    screen.show(found.document())
    if share is None:
        screen.say(f"{UNREADABLE}: where it would be chosen is not known")
    else:
        screen.say(f"would be chosen for {share:.1%} of the training prompts")
    if found.n_next:
        screen.say("for the prompts to run next add --adaptive and --budget")
    screen.say(f"router with {len(grown.llm_ids_)} LLMs: {out}")


def _remove(router: Router, llm: str, out: Path, card: str | None, keep: Keep, screen: Screen) -> None:
    remaining, change = withdraw(router, llm)
    remaining.save(out, card=card)
    facts = {} if change is None else change.to_dict()
    keep({"removed": llm, **facts, "n_llms": len(remaining.llm_ids_), "out": str(out)})
    if change is None:
        screen.say(f"{UNREADABLE}: who takes over is not known")
    else:
        screen.show(change.document())
    screen.say(f"router with {len(remaining.llm_ids_)} LLMs: {out}")
