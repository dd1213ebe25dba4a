"""Reference pages from the code's own declarations: a line `<!-- declared: NAME -->` of a page becomes NAME's text."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import Field, fields
from typing import TYPE_CHECKING, Any

import polars as pl
from commands import verb_pages
from tables import code, plain, table

import recroute as rr
from recroute.attempts.settings import CascadeSettings
from recroute.coldstart.settings import ColdStartSettings
from recroute.data.sources.source import REGISTRY, layout_names
from recroute.errors import RecrouteError
from recroute.evaluation.frontier import FrontierSettings
from recroute.evaluation.settings import EvaluationSettings, ScaleSettings
from recroute.experiment.protocol import Protocol
from recroute.metrics.table import METRICS
from recroute.offpolicy.experiment import OffPolicySettings
from recroute.pool_choice.choose import PoolSettings
from recroute.routers import router_class, router_names
from recroute.serve.settings import ServeSettings
from recroute.tuning.settings import TuneSettings
from recroute.tuning.space import read_space

if TYPE_CHECKING:
    from sphinx.application import Sphinx

MARK = re.compile(r"^<!-- declared: (\w+)(?: (.+?))? -->$", re.MULTILINE)
SETTINGS = {
    "every experiment on splits": Protocol,
    "rr.evaluate": EvaluationSettings,
    "rr.scale": ScaleSettings,
    "rr.frontier": FrontierSettings,
    "rr.coldstart": ColdStartSettings,
    "rr.cascade": CascadeSettings,
    "rr.choose_pool": PoolSettings,
    "rr.off_policy": OffPolicySettings,
    "rr.tune": TuneSettings,
    "recroute serve": ServeSettings,
}


# Settings


def range_of(f: Field[Any]) -> str:
    """What a setting may be, from its declaration."""
    low, above, high, choices = (f.metadata.get(key) for key in ("low", "above", "high", "choices"))
    if choices is not None:
        return ", ".join(code(choice) for choice in choices)
    ends = {"from": low, "above": above, "to": high}
    return " ".join(
        f"{word} {end if isinstance(end, int) else format(end, 'g')}" for word, end in ends.items() if end is not None
    )


def default_of(f: Field[Any]) -> str:
    if f.default_factory is not dataclasses.MISSING:
        return "by the machine" if f.default_factory.__module__ != "builtins" else code(f.default_factory())
    return "required" if f.default is dataclasses.MISSING else code(f.default)


def setting_rows(of: Iterable[Field[Any]]) -> list[list[str]]:
    return [[code(f.name), code(f.type), default_of(f), range_of(f), plain(f.metadata.get("help") or "")] for f in of]


def settings() -> Iterator[str]:
    """Keywords of experiments, without those that every experiment has."""
    shared = {f.name for f in fields(Protocol)}
    for name, cls in SETTINGS.items():
        own = [f for f in fields(cls) if cls is Protocol or f.name not in shared]
        yield f"## {name}\n\n"
        yield table(["setting", "type", "default", "range", "meaning"], setting_rows(own))


def routers() -> Iterator[str]:
    """Hyperparameters of every router, with the range that a search draws them from."""
    for name in router_names():
        cls = router_class(name)
        facts = [
            f"kind {code(cls.kind)}",
            f"reads {cls.needs or 'nothing of a prompt'}",
            "takes unseen LLMs" if cls.takes_unseen_llms else "does not take unseen LLMs",
            *(["learns from preferences"] if cls.learns_from_preferences else []),
        ]
        yield f"## {name}\n\n{plain(first_paragraph(cls))}\n\n{', '.join(facts)}.\n\n"
        if rows := setting_rows(cls.settings()):
            searched = space_of(name)
            rows = [[*row[:-1], drawn(searched.get(row[0].strip("`"), {})), row[-1]] for row in rows]
            yield table(["hyperparameter", "type", "default", "range", "searched by tune", "meaning"], rows)


def space_of(name: str) -> dict[str, Any]:
    """What a search draws for a router, by hyperparameter; nothing for a control, which is not searched."""
    try:
        return read_space([name]).to_dict()[name]
    except RecrouteError:
        return {}


def drawn(values: dict[str, Any]) -> str:
    """Values that a search tries, from the table of its space."""
    if values.get("choices"):
        return ", ".join(code(choice) for choice in values["choices"])
    if values.get("low") is None:
        return ""
    ends = f"from {values['low']:g} to {values['high']:g}"
    return ends + ", log" * bool(values.get("log")) + ", or none" * bool(values.get("none"))


# Metrics


def metrics() -> Iterator[str]:
    """One section for each formula; `ndcg@1` and `ndcg@5` have one."""
    groups: dict[str, list[Any]] = {}
    for metric in METRICS.values():
        groups.setdefault(metric.description, []).append(metric)
    for text, group in groups.items():
        first = group[0]
        facts = {"": "no better direction", "higher": "higher is better", "lower": "lower is better"}[first.better]
        yield f"## {', '.join(metric.name for metric in group)}\n\n"
        facts += "" if first.interval else "; no interval"
        yield f"Computed from {first.of}; {facts}.\n\n{as_markdown(text)}\n\n"


def as_markdown(docstring: str) -> str:
    """Prose of a docstring with its examples as code; no sections."""
    prose, _, examples = inspect.cleandoc(docstring).partition(">>> ")
    paragraphs = "\n\n".join(plain(part) for part in prose.strip().split("\n\n"))
    return paragraphs + (f"\n\n```pycon\n>>> {examples.strip()}\n```" if examples else "")


def first_paragraph(of: Any) -> str:
    return inspect.cleandoc(of.__doc__ or "").split("\n\n")[0]


# Layouts


def layouts() -> Iterator[str]:
    """Every layout that can be imported, with its card."""
    for name in layout_names():
        cls = REGISTRY.get(name)
        yield f"## {name}\n\nReads {plain(cls.reads)}. [Card](../../data_cards/layouts/{name}.md).\n\n"
        rows = [[code(f.name), code(f.type), default_of(f)] for f in fields(cls)]
        yield table(["setting", "type", "default"], rows) if rows else ""


# Results


def results() -> Iterator[str]:
    """Keys of result JSON, read from small runs on simulated data."""
    data = rr.simulate(n_llms=8, n_instances=200, seed=0)
    costs = rr.read_dataset(data.to_polars().with_columns(cost=pl.col("llm_id").str.len_chars() / 1000))
    logs = rr.simulate_logs(data, rr.make_router("best_single").fit(data), epsilon=0.5)
    runs: dict[str, Callable[[], Any]] = {
        "evaluate": lambda: rr.evaluate(data, ["svd"], seeds=[0, 1], n_resamples=50),
        "scale": lambda: rr.scale(data, ["svd"], pool_sizes=[3, 5], seeds=[0, 1], n_resamples=50),
        "frontier": lambda: rr.frontier(costs, ["best_single"]),
        "coldstart": lambda: rr.coldstart(data, ["svd"], anchors=[0, 4], n_seeds=1),
        "cascade": lambda: rr.cascade(data, ["svd"], attempts=[1, 2]),
        "pool": lambda: rr.choose_pool(data, 2, router="svd"),
        "off-policy": lambda: rr.off_policy(logs, ["ridge"]),
    }
    found = {name: run().to_dict() for name, run in runs.items()}
    shared = set.intersection(*(set(one) for one in found.values()))
    yield "## Keys of every result\n\n"
    first = next(iter(found.values()))
    yield table(["key", "type"], [[code(key), type(first[key]).__name__] for key in first if key in shared])
    for name, one in found.items():
        yield f"## recroute {name}\n\nRows have "
        yield ", ".join(f"{code(key)} ({kind})" for key, kind in columns(one["rows"]).items()) + ".\n\n"
        own = {key: value for key, value in one.items() if key not in shared}
        if own:
            yield table(["further key", "type"], [[code(key), kind_of(value)] for key, value in own.items()])


def columns(rows: list[dict[str, Any]]) -> dict[str, str]:
    """Keys of all rows, each with the types of its values."""
    kinds: dict[str, set[str]] = {}
    for row in rows:
        for key, value in row.items():
            kinds.setdefault(key, set()).add("null" if value is None else type(value).__name__)
    return {key: " or ".join(sorted(kind, key=lambda one: one == "null")) for key, kind in kinds.items()}


def kind_of(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return f"list of rows with {', '.join(map(code, value[0]))}"
    return "null" if value is None else type(value).__name__


# Public names


def api(homes: str) -> Iterator[str]:
    """Public names that stand in these modules or below them."""
    for home, names in rr._HOMES.items():
        if any(home == one or home.startswith(f"{one}.") for one in homes.split()):
            for name in sorted(names):
                kind = "class" if inspect.isclass(getattr(rr, name)) else "function"
                yield f"```{{eval-rst}}\n.. auto{kind}:: recroute.{name}\n```\n\n"


DECLARED: dict[str, Callable[..., Iterator[str]]] = {
    "metrics": metrics,
    "layouts": layouts,
    "settings": settings,
    "routers": routers,
    "commands": verb_pages,
    "results": results,
    "api": api,
}


def fill(app: Sphinx, page: str, source: list[str]) -> None:
    """Replace the marks of a page."""
    source[0] = MARK.sub(lambda m: "".join(DECLARED[m[1]](*([m[2]] if m[2] else []))), source[0])


def setup(app: Sphinx) -> dict[str, object]:
    app.connect("source-read", fill)
    return {"parallel_read_safe": True}
