"""Combining several runs on the same data and splits into one evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import polars as pl

from recroute.errors import DataError
from recroute.evaluation.evaluation import Evaluation
from recroute.experiment.compare import is_yardstick

# Files that determine scores and splits. Other files, such as vectors, may differ between runs that are compared.
DATA_FILES = ("records", "instances", "llms", "pools")
SHAPE = ("name", "n_instances", "n_llms", "n_records", "split", "n_train", "n_valid", "n_test")


def combine(runs: Mapping[str, Evaluation]) -> Evaluation:
    """Combine runs, given by name, into one evaluation.

    A router that occurs in several runs is shown once if its values agree, and otherwise once per run, as
    `router [run]`.

    Raises
    ------
    DataError
        If two runs are on different data or splits; the message names the difference.
    """
    (first_name, first), *others = runs.items()
    if not others:
        return first
    notes = [note for name, run in others for note in check_comparable(first_name, first, name, run)]
    names = _new_names(runs)
    rows = pl.concat([_renamed(run.rows, name, names) for name, run in runs.items()]).unique(
        ["router", "group", "pool_size", "seed", "metric"], keep="first", maintain_order=True
    )
    pairs = pl.concat([_renamed(run.comparisons, name, names) for name, run in runs.items()]).unique(
        ["router", "baseline", "group", "pool_size", "metric"], keep="first", maintain_order=True
    )
    notes += [f"routers of {name}: {', '.join(_shown(name, run, names))}" for name, run in runs.items()]
    own = [f"{name}: {note}" for name, run in runs.items() for note in run.notes]
    notes += ["differences, p values and Holm's correction were computed within each run", *own]
    info = {
        **first.info,
        "notes": list(dict.fromkeys(notes)),
        "complete": all(run.info["complete"] for run in runs.values()),
        "commands": {name: run.info.get("command", []) for name, run in runs.items()},
        "environment": _merged(runs, "environment"),
        "routers": {
            names[name, r]: v
            for name, run in runs.items()
            for r, v in run.info.get("routers", {}).items()
            if (name, r) in names
        },
    }
    return Evaluation(rows, info, pairs)


def check_comparable(name: str, run: Evaluation, other_name: str, other: Evaluation) -> list[str]:
    """Raise DataError for runs on different data or splits; returns notes on what could not be checked."""
    where = f"{name} and {other_name} cannot be compared"
    left, right = run.info["dataset"], other.info["dataset"]
    notes = []
    hashed = "sha256" in left and "sha256" in right
    if hashed:
        notes += _check_files(where, left["sha256"], right["sha256"])
    else:
        notes.append(
            f"{name} and {other_name}: at least one has no SHA-256 of the data; compared by name, shape and split only"
        )
    for key in SHAPE[1:] if hashed else SHAPE:  # folders with equal files may have different names
        if key in left and key in right and left[key] != right[key]:
            raise DataError(f"{where}: {key} is {left[key]!r} in one and {right[key]!r} in the other")
    splits, other_splits = run.info.get("splits"), other.info.get("splits")
    seeds, other_seeds = sorted(run.seeds), sorted(other.seeds)
    if seeds != other_seeds:
        raise DataError(f"{where}: seeds are {seeds} in one and {other_seeds} in the other; each seed is a split")
    if splits and other_splits:
        for seed in {**splits, **other_splits}:
            one, two = (known.get(seed, "absent") for known in (splits, other_splits))
            if one != two:
                raise DataError(
                    f"{where}: the split of seed {seed} differs (SHA-256 {one[:12]} and {two[:12]}); "
                    "use the same split, benchmark, holdout and LLMs"
                )
    else:
        notes.append(
            f"{name} and {other_name}: at least one has no SHA-256 of the splits; compared by name and seeds only"
        )
    return notes


def _check_files(where: str, left: Mapping[str, str], right: Mapping[str, str]) -> list[str]:
    differing = sorted(file for file in {*left, *right} if left.get(file) != right.get(file))
    if data := [file for file in differing if file.split(".")[0] in DATA_FILES or not file.endswith((".npz", ".json"))]:
        digests = f"{left.get(data[0], 'absent')[:12]} and {right.get(data[0], 'absent')[:12]}"
        raise DataError(f"{where}: {', '.join(data)} differ{'s' * (len(data) == 1)} (SHA-256 {digests})")
    return [f"the runs differ in {', '.join(differing)}"] if differing else []


def _new_names(runs: Mapping[str, Evaluation]) -> dict[tuple[str, str], str]:
    """Label of each run's routers in the combined tables, by (run, router)."""
    owners_of: dict[str, list[tuple[str, pl.DataFrame]]] = {}
    for name, run in runs.items():
        for (router,), rows in run.rows.group_by("router", maintain_order=True):
            owners_of.setdefault(str(router), []).append((name, rows))
    names = {}
    for router, owners in owners_of.items():
        same = all(_agree(a, b) for (_, a), (_, b) in pairwise(owners))
        names.update({(name, router): router if same else f"{router} [{name}]" for name, _ in owners})
    return names


def _shown(run_name: str, run: Evaluation, names: Mapping[tuple[str, str], str]) -> list[str]:
    """Labels in the combined tables of a run's routers, without bounds and baselines."""
    routers = run.rows["router"].unique(maintain_order=True).to_list()
    return [names[run_name, router] for router in routers if not is_yardstick(router)]


def _agree(left: pl.DataFrame, right: pl.DataFrame) -> bool:
    """Whether two runs agree on a router's values (not its intervals) wherever both have one."""
    on = ["group", "pool_size", "seed", "metric"]
    both = left.join(right, on=on, nulls_equal=True).select("value", "value_right").drop_nans().drop_nulls()
    return both.height > 0 and bool(((both["value"] - both["value_right"]).abs() < 1e-9).all())


def _renamed(rows: pl.DataFrame, run: str, names: Mapping[tuple[str, str], str]) -> pl.DataFrame:
    own = {router: label for (name, router), label in names.items() if name == run}
    columns = [name for name in ("router", "baseline") if name in rows.columns]
    return rows.with_columns(pl.col(columns).replace(own))


def _merged(runs: Mapping[str, Evaluation], key: str) -> dict[str, Any]:
    """Facts of all runs: stated once if they agree, otherwise with the name of each run."""
    merged: dict[str, Any] = {}
    for fact in dict.fromkeys(fact for run in runs.values() for fact in run.info.get(key, {})):
        values = {name: run.info.get(key, {}).get(fact, "not recorded") for name, run in runs.items()}
        distinct = set(map(str, values.values()))
        merged[fact] = distinct.pop() if len(distinct) == 1 else "; ".join(f"{v} ({n})" for n, v in values.items())
    return merged
