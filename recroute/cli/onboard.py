"""recroute onboard: an LLM that nobody has evaluated, into a router; or one that is withdrawn, out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from recroute.cli.options import OUTPUTS, QUIET, ROUTER_DIR, SEED, Option, verb
from recroute.cli.places import check_places
from recroute.cli.screen import Screen, console
from recroute.coldstart.anchors import STRATEGIES
from recroute.coldstart.answers import read_results
from recroute.coldstart.onboard import Expectation, choices, expect, next_anchors, usual_strategy, withdraw
from recroute.data import Dataset
from recroute.errors import RecrouteError, RouterError
from recroute.routers import Router, load_router
from recroute.routers.storage import changed_card
from recroute.util.files import write_json, write_text

KNOWN = "What is known of the LLM"  # a panel of the help
Keep = Callable[[Mapping[str, Any]], None]  # writes what --json asks for
UNREADABLE = "the router cannot read its training prompts as text"


OUT = Option("out", Path, help="The file of prompts to run, or the folder of the new router.")
LLM = Option("llm", str | None, None, help="Id of the LLM to take in.")
BUDGET = Option("budget", int | None, None, help="How many prompts to run on it.", low=1)
RESULTS = Option(
    "results",
    Path | None,
    None,
    help="Its scores: CSV, JSONL or parquet with instance_id and score, or lm-eval's.",
)
ADAPTIVE = Option(
    "adaptive",
    bool,
    False,
    flag="--adaptive",
    help="With --results so far and --budget: the prompts to run next.",
)
REMOVE = Option("remove", str | None, None, help="Id of an LLM to take out instead.")
STRATEGY = Option(
    "strategy",
    str | None,
    None,
    help=f"How prompts are chosen: {', '.join(STRATEGIES)}. Default: batch; with --adaptive: active.",
)
FACTS = (  # of the LLM, by the names of columns of the LLM table
    Option("family", str | None, None, help="Family of the LLM, as the data set names it.", panel=KNOWN),
    Option("n_params_b", float | None, None, help="Its parameters, in billions.", panel=KNOWN, low=0),
    Option("price_in", float | None, None, help="USD per 1M tokens it reads.", panel=KNOWN, low=0),
    Option("price_out", float | None, None, help="USD per 1M tokens it writes.", panel=KNOWN, low=0),
)


@verb(
    *(ROUTER_DIR, OUT, LLM, BUDGET, RESULTS, ADAPTIVE, REMOVE, STRATEGY, *FACTS),
    *(SEED, OUTPUTS["json"], QUIET),
)
def onboard(chosen: Any) -> None:
    """Take an LLM that nobody has evaluated into a fitted router, from its answers to a few prompts.

    Example: recroute onboard my_router --llm new-llm --budget 16 --out anchors.csv

    Run the LLM on these prompts and add a column score, from 0 to 1. Then:
    recroute onboard my_router --llm new-llm --results anchors.csv --out my_router_2
    """
    llm, out, results, json_path = chosen.llm, chosen.out, chosen.results, chosen.json_path
    writes_file = chosen.remove is None and (results is None or chosen.adaptive)
    _check_options(chosen)
    files, folders = ([json_path, out], {}) if writes_file else ([json_path], {out: "router.json"})
    check_places(*files, folders=folders, inputs=[results])
    check_places(*files, inputs=[chosen.router_dir])
    router = load_router(chosen.router_dir)
    screen = console(chosen.quiet, *files)

    def keep(facts: Mapping[str, Any]) -> None:
        if json_path is not None:
            write_json(json_path, {"router": router.label, **facts})

    if chosen.remove is not None:
        card = changed_card(chosen.router_dir, f"LLM {chosen.remove} was taken out")
        _remove(router, chosen.remove, out, card, keep, screen)
        return
    known = {f.name: [value] for f in FACTS if (value := getattr(chosen, f.name)) is not None}
    table = pl.DataFrame({"llm_id": [llm], **known})
    scores, notes = (None, []) if results is None else read_results(results, llm, router.training_prompts)
    if writes_file:
        found = expect(router, scores, table)
        strategy = chosen.strategy or usual_strategy(scores)
        anchors = next_anchors(router, chosen.budget, table, results=scores, strategy=strategy, seed=chosen.seed)
        _ask(found, anchors, strategy, out, keep, screen)
    else:
        answers = "no answer" if scores is None else f"{scores.interactions.n_observed:,} answers"
        card = changed_card(chosen.router_dir, f"LLM {llm} was taken in, from {answers}")
        _take_in(router, table, scores, out, card, keep, screen)
    screen.note(*notes)


def _check_options(chosen: Any) -> None:
    """One clear line for options that do not go together."""
    llm, remove, budget = chosen.llm, chosen.remove, chosen.budget
    results, adaptive = chosen.results, chosen.adaptive
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
