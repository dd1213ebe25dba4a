"""Rows of lm-evaluation-harness: each document once after each filter."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any

from recroute.data.sources._lm_eval_runs import Run
from recroute.data.sources._scores import NEAR, Key, Sample, mean_of
from recroute.errors import DataError

ROW_KEYS = {"doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics"} | {
    "doc_hash",
    "prompt_hash",
    "target_hash",
}


def metrics_of(row: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of a row that are numbers. Early versions do not list their names."""
    names = row.get("metrics")
    if not isinstance(names, list):
        names = [name for name in row if name not in ROW_KEYS]
    values = ((str(name), _number(row.get(str(name)))) for name in names)
    return {name: value for name, value in values if value is not None}


def _number(value: object) -> float | None:
    """A metric's value; NaN where it is missing, None for what is no number. NumPy's numbers are logged as text."""
    if value is None:
        return math.nan
    if isinstance(value, str):
        value = {"True": 1.0, "False": 0.0}.get(value, value)
    try:
        return float(value) if isinstance(value, int | float | str) else None
    except (ValueError, OverflowError):
        return None


def one_row_each(run: Run, samples: Sequence[Sample], notes: list[str]) -> list[Sample]:
    """Every document once for each filter, and the filter named.

    Early versions log filter after filter and do not say which: the k-th row of a document is that of the k-th
    filter, if the means of the results file say so. A row that stands twice for a filter is a run that was appended.

    Raises
    ------
    DataError
        Where scores differ and nothing says which are right.
    """
    named: dict[str | None, list[Sample]] = {}
    for sample in samples:
        named.setdefault(sample.filter, []).append(sample)
    found = []
    for name, rows in named.items():
        layers = _layers(rows)
        if name is None:
            by_filter = _unnamed(run, layers)
        else:
            by_filter = {name: layers[0] if len(layers) == 1 else _appended(run, layers, name)}
        if len(layers) > len(by_filter):
            notes.append(f"{run.llm}, {run.task}: documents stand {len(layers)} times in {run.file.name}, taken once")
        found += [replace(sample, filter=filter_) for filter_, layer in by_filter.items() for sample in layer]
    return found


def _layers(samples: Sequence[Sample]) -> list[list[Sample]]:
    """The first rows of all documents, the second rows, and so on."""
    seen: Counter[Key] = Counter()
    layers: list[list[Sample]] = []
    for sample in samples:
        if seen[sample.key] == len(layers):
            layers.append([])
        layers[seen[sample.key]].append(sample)
        seen[sample.key] += 1
    return layers


def _appended(run: Run, layers: list[list[Sample]], name: str) -> list[Sample]:
    """Of a run that stands several times in its file: the one that the results file is of."""
    if (clash := _clash(layers)) is None:
        return layers[0]
    fitting = [layer for layer in layers if _fits(run, layer, name)]
    if len(fitting) == 1:
        return fitting[0]
    raise DataError(
        f"{clash[0].where}, and {clash[1].where} are one document after filter {name!r} with other scores: a run of "
        f"{run.llm} was appended, or two LLMs are in one file; keep the rows of one run"
    )


def _unnamed(run: Run, layers: list[list[Sample]]) -> dict[str, list[Sample]]:
    """Filters of rows that do not name them, by the means of the results file."""
    filters = run.results.filters(run.task) if run.results is not None else []
    if len(layers) == 1 and len(filters) < 2:
        return {filters[0] if filters else "none": layers[0]}
    for named in permutations(filters) if len(layers) == len(filters) < 7 else []:  # their own order first
        if all(_fits(run, layer, name) for layer, name in zip(layers, named, strict=True)):
            return dict(zip(named, layers, strict=True))
    if _clash(layers) is None:  # a run that was appended
        fitting = [name for name in filters if _fits(run, layers[0], name)]
        if len(fitting) == 1 or len(filters) < 2:
            return {[*fitting, *filters, "none"][0]: layers[0]}
    if run.results is None:
        told = f"no results_{run.date}.json beside it tells them apart"
    else:
        told = f"the means in {run.results.file.name} do not tell them apart"
    raise DataError(
        f"{run.file} has {len(layers)} rows of each document of {run.llm} and names no filter, and {told}; put the "
        "results file of that run there, or leave the LLM out"
    )


def _clash(layers: list[list[Sample]]) -> tuple[Sample, Sample] | None:
    """Two rows of one document with different scores."""
    first = {sample.key: sample for sample in layers[0]}
    for layer in layers[1:]:
        for sample in layer:
            if repr(sample.metrics) != repr(first[sample.key].metrics):  # NaN is NaN's equal here
                return first[sample.key], sample
    return None


def _fits(run: Run, samples: Sequence[Sample], name: str) -> bool:
    """Whether the samples' means are those published after the filter, and there is one at least."""
    compared = [
        (mean, published)
        for metric in samples[0].metrics
        if (published := run.published(metric, name)) is not None
        and (mean := mean_of(sample.metrics.get(metric, math.nan) for sample in samples)) is not None
    ]
    return bool(compared) and all(abs(mean - published) <= NEAR for mean, published in compared)
