"""Command lines of every verb that reads data, for the routers there are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
from fuzzing import Ran, run_verb
from hypothesis import strategies as st

from recroute.routers import router_names

Line = list[object]
EXTRAS = ("mlc",)  # needs an encoder to fine-tune
NAMES = [name for name in router_names() if name not in EXTRAS]
COMPOSED = [
    "knn(n_neighbors=1)",
    "knn(views=all)",
    "svd(n_factors=50)",
    "svd(bridge=kernel)",
    "svd(index=ivf)",
    "guarded(router=svd)",
    "calibrated(router=ridge)",
    "budgeted(router=svd, budget=0.001)",
    "budgeted(router=knn, quality=0.9)",
    "budgeted(router=best_single, trade_off=1)",
    "refreshed(router=knn)",
    "auto(router=best_single + svd)",
]
ROUTERS = [*NAMES, *COMPOSED]

LINES: dict[str, Callable[[Path, str, Path], Line]] = {
    "describe": lambda data, router, out: ["data", "describe", data, "--json", out / "o.json"],
    "doctor": lambda data, router, out: ["data", "doctor", data, "--json", out / "o.json", "--fix", out / "fixed"],
    "fit": lambda data, router, out: ["fit", data, "--router", router, "--out", out / "router"],
    "evaluate": lambda data, router, out: [
        *("evaluate", data, "--router", router, "--out", out / "run", "--html", out / "o.html"),
        *("--json", out / "o.json", "--csv", out / "o.csv"),
    ],
    "holdout": lambda data, router, out: ["evaluate", data, "--router", router, "--holdout", "task", "--seeds", 2],
    "scale": lambda data, router, out: [
        *("scale", data, "--router", router, "--pool-sizes", "1,2,3", "--html", out / "o.html"),
    ],
    "nested": lambda data, router, out: [
        *("scale", data, "--router", router, "--pool-sizes", "2,3,100", "--groups", "nested"),
        *("--train-fractions", ".1,1", "--json", out / "o.json", "--html", out / "o.html"),
    ],
    "own pools": lambda data, router, out: ["scale", data, "--router", router, "--groups", "own"],
    "frontier": lambda data, router, out: [
        *("frontier", data, "--router", router, "--json", out / "o.json", "--html", out / "o.html"),
    ],
    "prices": lambda data, router, out: ["frontier", data, "--router", router, "--cost", "prices"],
    "pool": lambda data, router, out: [
        *("pool", data, "--router", router, "--size", 2, "--out", out / "pool"),
        *("--json", out / "o.json", "--html", out / "o.html"),
    ],
    "coldstart": lambda data, router, out: [
        *("coldstart", data, "--router", router, "--anchors", "0,1,2,4", "--pool-size", 2, "--holdout", "random"),
        *("--json", out / "o.json", "--html", out / "o.html"),
    ],
    "cascade": lambda data, router, out: [
        *(
            "cascade",
            data,
            "--router",
            router,
            "--attempts",
            "1,2,9",
            "--pool-sizes",
            "2,3",
            "--verifier",
            "noisy:.9,.8",
        ),
        *("--json", out / "o.json", "--html", out / "o.html"),
    ],
    "cascade of all": lambda data, router, out: ["cascade", data, "--router", router, "--seeds", 2, "--accept", 0.5],
    "tune": lambda data, router, out: [
        *("tune", data, "--router", router, "--out", out / "study", "--trials", 1, "--folds", 2, "--pool-sizes", "2"),
    ],
}


def run_line(verb: str, data: Path, router: str, out: Path) -> Ran:
    """Run one verb on a data set, and after `fit` all that can be done with the router."""
    found = run_verb(*LINES[verb](data, router, out))
    if verb == "fit" and found.code == 0:
        _use(out / "router", data, out)
    return found


def _use(router: Path, data: Path, out: Path) -> None:
    run_verb("route", router, "some text", "", "--explain", "--top-k", 2, "--json", out / "o.json")
    run_verb("route", router, "some text", "--tried", "llm-0=0.5", "--json", out / "o.json")
    run_verb("route", router, "some text", "", "--together", 2, "--json", out / "o.json")
    run_verb("refresh", router, "--records", data / "records.parquet" if data.is_dir() else data, "--out", out / "new")
    rows = pl.DataFrame(
        {"instance_id": ["new"], "llm_id": ["llm-0"], "score": [1.0], "prompt": ["text"], "task": ["math"]}
    )
    rows.write_ndjson(out / "feedback.jsonl")
    run_verb("refresh", router, "--records", out / "feedback.jsonl", "--out", out / "new")
    run_verb("onboard", router, "--remove", "llm-0", "--out", out / "fewer")
    if run_verb("onboard", router, "--llm", "new", "--budget", 3, "--out", out / "anchors.csv").code == 0:
        table = pl.read_csv(out / "anchors.csv", infer_schema=False)
        table.select("instance_id", score=pl.lit("1.0")).write_csv(out / "results.csv")
        results = ("--results", out / "results.csv")
        run_verb("onboard", router, "--llm", "new", *results, "--out", out / "more")
        run_verb("onboard", router, "--llm", "new", *results, "--budget", 2, "--adaptive", "--out", out / "next.csv")


def lines(verbs: list[str] | None = None) -> st.SearchStrategy[tuple[str, str]]:
    """A verb and a router."""
    return st.tuples(st.sampled_from(verbs or list(LINES)), st.sampled_from(ROUTERS))
