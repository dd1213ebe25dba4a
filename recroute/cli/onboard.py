"""recroute onboard: an LLM that nobody has evaluated, into a router; or one that is withdrawn, out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.console import Console
from rich.table import Table

from recroute.cli.options import JsonPath, Quiet, Seed
from recroute.cli.places import check_places
from recroute.cli.screen import console
from recroute.coldstart.anchors import STRATEGIES
from recroute.coldstart.answers import read_results
from recroute.coldstart.onboard import Expectation, Withdrawal, choices, expect, next_anchors, withdraw
from recroute.data import Dataset
from recroute.errors import RecrouteError, RouterError
from recroute.routers import Router, load_router
from recroute.routers.card import changed_card
from recroute.routers.ranking import shown
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
    printer = console(quiet, *files)

    def keep(facts: Mapping[str, Any]) -> None:
        if json_path is not None:
            write_json(json_path, {"router": router.label, **facts})

    if remove is not None:
        _remove(router, remove, out, changed_card(router_dir, f"LLM {remove} was taken out"), keep, printer)
        return
    assert llm is not None  # _check_options
    known = {"family": family, "n_params_b": n_params_b, "price_in": price_in, "price_out": price_out}
    table = pl.DataFrame({"llm_id": [llm], **{key: [value] for key, value in known.items() if value is not None}})
    scores, notes = (None, []) if results is None else read_results(results, llm, router.training_prompts)
    if writes_file:
        assert budget is not None  # _check_options
        found = expect(router, scores, table)
        anchors = next_anchors(router, budget, table, results=scores, strategy=strategy, seed=seed)
        _ask(found, anchors, strategy, out, keep, printer)
    else:
        answers = "no answer" if scores is None else f"{scores.interactions.n_observed:,} answers"
        card = changed_card(router_dir, f"LLM {llm} was taken in, from {answers}")
        _take_in(router, table, scores, out, card, keep, printer)
    for note in notes:
        printer.print(f"note: {note}", style="yellow", markup=False, soft_wrap=True)


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


def _ask(found: Expectation, anchors: pl.DataFrame, strategy: str, out: Path, keep: Keep, printer: Console) -> None:
    write_text(out, anchors.write_csv())
    keep({**_facts(found), "anchors": anchors["instance_id"].to_list(), "strategy": strategy, "out": str(out)})
    _print_mean(found, printer)
    of_task = anchors.group_by("task", maintain_order=True).len().sort("len", descending=True)
    shown = ", ".join(f"{count} of {task}" for task, count in of_task.iter_rows())
    printer.print(f"{anchors.height} prompts to run on {found.llm_id} ({shown}): {out}", markup=False, soft_wrap=True)
    printer.print("run them, add a column score (0 to 1), and give the file to --results", markup=False, soft_wrap=True)


def _take_in(
    router: Router,
    table: pl.DataFrame,
    scores: Dataset | None,
    out: Path,
    card: str | None,
    keep: Keep,
    printer: Console,
) -> None:
    found = expect(router, scores, table)
    grown = router.add_llms(scores, table)
    try:
        chosen, _ = choices(grown)
        share = float((chosen == len(router.llm_ids_)).mean())
    except RouterError:  # its training prompts have neither text nor vectors
        share = None
    grown.save(out, card=card)
    keep({**_facts(found), "chosen_share": share, "n_llms": len(grown.llm_ids_), "out": str(out)})
    _print_mean(found, printer)
    printer.print(_task_table(found))
    alike = ", ".join(f"{name} (mean {mean:.3f})" for name, mean in found.alike.select("llm_id", "mean").iter_rows())
    printer.print(f"most alike: {alike}", markup=False, soft_wrap=True)
    if share is None:
        printer.print(f"{UNREADABLE}: where it would be chosen is not known", markup=False, soft_wrap=True)
    else:
        printer.print(f"would be chosen for {share:.1%} of the training prompts", markup=False)
    printer.print(
        f"with {found.n_next} prompts more, the interval is expected to narrow from {found.width:.3f} to "
        f"{found.next_width:.3f} (--adaptive names them)",
        markup=False,
        soft_wrap=True,
    )
    printer.print(f"router with {len(grown.llm_ids_)} LLMs: {out}", markup=False, soft_wrap=True)


def _remove(router: Router, llm: str, out: Path, card: str | None, keep: Keep, printer: Console) -> None:
    remaining, change = withdraw(router, llm)
    remaining.save(out, card=card)
    facts = {} if change is None else {**asdict(change), "successors": change.successors.to_dicts()}
    keep({"removed": llm, **facts, "n_llms": len(remaining.llm_ids_), "out": str(out)})
    if change is None:
        printer.print(f"{UNREADABLE}: who takes over is not known", markup=False, soft_wrap=True)
    else:
        _print_withdrawal(llm, change, printer)
    printer.print(f"router with {len(remaining.llm_ids_)} LLMs: {out}", markup=False, soft_wrap=True)


def _print_withdrawal(llm: str, change: Withdrawal, printer: Console) -> None:
    printer.print(f"{llm} was chosen for {change.share:.1%} of the training prompts", markup=False, soft_wrap=True)
    if change.successors.height:
        heirs = ", ".join(f"{name} {share:.0%}" for name, share in change.successors.head(5).iter_rows())
        printer.print(f"its prompts go to: {heirs}", markup=False, soft_wrap=True)
    printer.print(
        f"predicted mean score of the choices: {shown(change.before, '.4f')} with it, "
        f"{shown(change.after, '.4f')} without ({change.after - change.before:+.4f})",
        markup=False,
        soft_wrap=True,
    )


def _print_mean(found: Expectation, printer: Console) -> None:
    low, high = found.interval
    after = f"{found.n_answers} of {found.n_prompts} prompts" if found.n_answers else "no prompt"
    printer.print(
        f"{found.llm_id}, after {after}: expected mean score {found.mean:.3f} (90% interval {low:.3f} to {high:.3f})",
        markup=False,
        soft_wrap=True,
    )


def _task_table(found: Expectation) -> Table:
    table = Table(title="expected mean score by task", title_justify="left")
    for column in ("task", "prompts", "run", "mean", "90% interval"):
        table.add_column(column, justify="left" if column == "task" else "right")
    for task, n_prompts, n_answers, mean, low, high in found.tasks.iter_rows():
        table.add_row(task, str(n_prompts), str(n_answers), f"{mean:.3f}", f"{low:.3f} to {high:.3f}")
    return table


def _facts(found: Expectation) -> dict[str, Any]:
    return {
        "llm": found.llm_id,
        "n_answers": found.n_answers,
        "n_prompts": found.n_prompts,
        "mean": found.mean,
        "ci_low": found.interval[0],
        "ci_high": found.interval[1],
        "tasks": found.tasks.to_dicts(),
        "alike": found.alike.to_dicts(),
        "next": {"n_prompts": found.n_next, "interval_width": found.next_width},
    }
