"""What a person types or writes by hand: options, TOML files, feedback; a result, or one line on what to mend."""

import json
import string
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from fastapi.testclient import TestClient
from fuzzing import ended, few, place, run_verb
from hypothesis import given
from hypothesis import strategies as st
from small_data import sound
from typer.models import OptionInfo

from recroute.cli.app import VERBS
from recroute.serve import ServeSettings, create_app

SOUND = sound(24, 4)
WORDS = [
    *("", " ", ",", "=", "(", ")", "()", "-", "--", "µ", "\udcff", "\x1b[31m", "None", "none", "nan", "inf", "true"),
    *("0", "-1", "1", "2", "3", "1.5", "1e400", "9" * 400, "0x10", "٣", "1,2", "2,3,3", "1,,2", "1;2", ".1,1", "a,b"),
    *("x=1", "=1", "x=", "n_factors=2", "n_factors=x", "n_neighbors=-1", "seed=1,seed=2", "usd=1", "cost=1", "prices"),
    *("task", "benchmark", "family", "random", "own", "train", "all", "nested", "all_strong", "active", "adaptive"),
    *("mean_score", "brier", "lift", "mean_cost", "text", "scores", "auto", "tfidf", "precomputed", "llm-0", "llm-9"),
    *("llm-0,llm-1", "llm-0,llm-0", "knn(", "knn)", "knn(n_neighbors)", "knn(n_neighbors=x)", "svd + ", "+", "no such"),
    *("guarded(router=guarded(router=knn))", "budgeted(router=svd)", "auto(router=)", "a" * 5000, "(" * 500, "é" * 300),
]
NUMBERS = ["-1", "0", "1", "2", "3", "0.5", "1.0", "nan", "inf", "-inf", "x", ""]
READS = {  # verb: what it reads; those that ask a network, wait for requests or take long are left out
    **dict.fromkeys(("fit", "evaluate", "scale", "frontier", "pool", "coldstart", "cascade", "tune"), "data"),
    **dict.fromkeys(("route", "onboard", "refresh"), "router"),
    **dict.fromkeys(("off-policy", "report", "routers"), "nothing"),
}
NEEDED = {
    "fit": ["--router", "best_single"],
    "tune": ["--trials", "1", "--folds", "2", "--router", "ridge", "--pool-sizes", "2"],
    "route": ["some text"],
    "onboard": ["--llm", "new"],
}
TEXTS = st.one_of(st.sampled_from(WORDS), st.text(max_size=20).filter(lambda text: "\0" not in text))


@dataclass(frozen=True)
class Option:
    """Its names, and what follows them: "flag", "number" or "text"."""

    names: tuple[str, ...]
    kind: str


@cache
def options(verb: str) -> list[Option]:
    """The options of a verb that name no place."""
    module, _, function = VERBS[verb].place.partition(":")
    found = []
    for name, hint in get_type_hints(getattr(import_module(module), function), include_extras=True).items():
        told = [part for part in getattr(hint, "__metadata__", ()) if isinstance(part, OptionInfo)]
        if not told or name == "storage" or "Path" in str(get_args(hint)[0]):
            continue
        base = str(get_args(hint)[0])
        kind = "flag" if "bool" in base else "number" if "int" in base or "float" in base else "text"
        for part in told:  # the first name stands where a default would, which is with the parameter
            declared = (part.default, *(part.param_decls or ())) if isinstance(part.default, str) else part.param_decls
            found.append(Option(tuple("/".join(declared or [f"--{name}"]).split("/")), kind))
    return found


@st.composite
def typed(draw: st.DrawFn, verb: str) -> list[str]:
    """Some options of a verb with values of any kind."""
    found: list[str] = []
    for option in draw(st.lists(st.sampled_from(options(verb)), max_size=3)) if options(verb) else []:
        found.append(draw(st.sampled_from(option.names)))
        if option.kind != "flag":
            found.append(draw(st.sampled_from(NUMBERS) if option.kind == "number" else TEXTS))
    return found


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A data set and a router, not to be changed."""
    with place() as folder:
        SOUND.write(folder / "data")
        run_verb("fit", folder / "data", "--router", "svd", "--out", folder / "router")
        yield folder


@few(120)
@given(data=st.data(), verb=st.sampled_from(list(READS)))
def test_options_of_any_value(made: Path, data: st.DataObject, verb: str) -> None:
    with place() as folder:
        reads = [] if READS[verb] == "nothing" else [made / READS[verb]]
        out = ["--out", folder / "out"] if verb in ("fit", "tune", "refresh", "onboard", "evaluate") else []
        run_verb(verb, *reads, *NEEDED.get(verb, []), *out, *data.draw(typed(verb)))


TOML_VALUES = st.recursive(
    st.one_of(
        st.sampled_from(
            ["1", "-1", "0.5", "nan", "inf", "true", '""', '"svd"', '"none"', "1979-05-27", "99999999999999999"]
        ),
        st.text(string.ascii_letters, max_size=4).map(json.dumps),
    ),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.tuples(st.sampled_from(["low", "high", "choices", "log", "x"]), inner).map(
            lambda p: f"{{ {p[0]} = {p[1]} }}"
        )
    ),
    max_leaves=4,
)
TOML_KEYS = st.sampled_from(
    [
        "router",
        "routers",
        "name",
        "n_factors",
        "n_neighbors",
        "seed",
        "reg",
        "views",
        "every",
        "knn",
        "svd",
        "seeds",
        '"x y"',
        "é",
    ]
)
TOML_LINES = st.one_of(
    st.tuples(TOML_KEYS, TOML_VALUES).map(" = ".join),
    TOML_KEYS.map("[{}]".format),
    TOML_KEYS.map("[[{}]]".format),
    TEXTS,
)
TOML = st.one_of(
    st.lists(TOML_LINES, max_size=6).map(lambda lines: "\n".join(lines).encode("utf8", "surrogateescape")),
    st.binary(max_size=30),
)


@few(80)
@given(content=TOML, verb=st.sampled_from(["fit", "evaluate", "tune"]))
def test_toml_of_any_content(made: Path, content: bytes, verb: str) -> None:
    with place() as folder:
        (folder / "my.toml").write_bytes(content)
        option = "--space" if verb == "tune" else "--router"
        few_trials = ["--trials", 1, "--folds", 2, "--pool-sizes", "2"] if verb == "tune" else []
        run_verb(verb, made / "data", option, folder / "my.toml", "--out", folder / "out", *few_trials)


JSON_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**30), 10**30), st.floats(), st.sampled_from([0.0, 0.5, 1.0]), TEXTS
)
JSON_VALUES = st.recursive(
    JSON_SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
)
ROW = st.fixed_dictionaries(
    {},
    optional={
        "instance_id": st.one_of(st.sampled_from(["q0", "new"]), JSON_VALUES),
        "llm_id": st.one_of(st.sampled_from(["llm-0", "llm-1"]), JSON_VALUES),
        "score": st.one_of(st.floats(0, 1), JSON_VALUES),
        "prompt": JSON_VALUES,
        "task": JSON_VALUES,
        "cost": JSON_VALUES,
        "decision_id": JSON_VALUES,
        "propensity": JSON_VALUES,
        "_row": JSON_VALUES,
    },
)


@few(80)
@given(rows=st.lists(ROW, max_size=4), tail=st.one_of(st.just(""), TEXTS), verb=st.sampled_from(["refresh", "onboard"]))
def test_feedback_of_any_content(made: Path, rows: list[dict[str, Any]], tail: str, verb: str) -> None:
    with place() as folder:
        lines = [*map(json.dumps, rows), *([tail] if tail else [])]
        (folder / "feedback.jsonl").write_text("\n".join(lines), encoding="utf8", errors="surrogateescape")
        option = "--records" if verb == "refresh" else "--results"
        named = ["--llm", "new"] if verb == "onboard" else []
        run_verb(verb, made / "router", *named, option, folder / "feedback.jsonl", "--out", folder / "out")
        if (folder / "out").exists():  # what was saved can be used
            assert run_verb("route", folder / "out", "some text").code == 0


@pytest.fixture(scope="module")
def service(made: Path) -> Iterator[TestClient]:
    settings = ServeSettings(router_dir=made / "router", feedback_dir=made / "feedback", poll=0.0)
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


@few(150)
@given(data=st.data())
def test_requests_of_any_content(service: TestClient, data: st.DataObject) -> None:
    decided = service.post("/route", json={"prompt": "some text"}).json()["routes"][0]["decision_id"]
    item = st.fixed_dictionaries(
        {},
        optional={
            "decision_id": st.one_of(st.just(decided), st.just(decided[::-1]), JSON_VALUES),
            **dict.fromkeys(("score", "llm_id", "cost", "preference", "x"), JSON_VALUES),
        },
    )
    asked = st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("prompt", "prompts", "k", "llms", "explain", "x"), JSON_VALUES)
    )
    path, body = data.draw(
        st.sampled_from([("/feedback", item), ("/feedback", st.lists(item, max_size=3)), ("/route", asked)])
    )
    sent = data.draw(st.one_of(body, JSON_VALUES))
    answer = service.post(path, content=json.dumps(sent), headers={"content-type": "application/json"})
    ended[path, answer.status_code] += 1
    assert answer.status_code < 500, (sent, answer.text)
    json.loads(answer.text, parse_constant=lambda name: pytest.fail(f"{name} in {answer.text}"))
