"""What holds for the package as a whole."""

import ast
import dataclasses
import importlib
import pkgutil
import re
import subprocess
import sys
from collections.abc import Collection
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import polars as pl

import recroute
from recroute.testing import planted_dataset

ROOT = Path(recroute.__file__).parent
HEAVY = (
    "optuna",
    "faiss",
    "implicit",
    "lightfm",
    "sklearn",
    "matplotlib",
    "pyspark",
    "torch",
    "transformers",
    "fastapi",
)
# A module may import from levels below its own, and from its own folder.
LEVELS = (
    ("errors", "_version"),
    ("util",),
    ("report",),
    ("data",),
    ("splits", "encoders", "retrieval", "metrics"),
    ("bridges",),
    ("pools",),
    ("routers",),
    ("conversation",),
    ("testing", "litellm", "experiment"),
    ("evaluation", "coldstart", "pool_choice", "offpolicy", "attempts"),
    ("tuning",),
    ("serve",),
    ("cli",),
    ("__main__",),
)
LEVEL_OF = {name: level for level, names in enumerate(LEVELS) for name in names}


def test_import_is_light() -> None:
    code = f"import recroute, sys; print([m for m in {HEAVY} if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_a_router_is_loaded_and_ranks_without_the_libraries_that_fit_tune_and_draw(tmp_path: Path) -> None:
    data = planted_dataset()
    recroute.make_router("auto").fit(data).save(tmp_path / "router")
    unused = ("faiss", "implicit", "lightfm", "matplotlib", "optuna", "sqlalchemy", "fastapi")
    code = (
        f"import recroute, sys; recroute.load_router({str(tmp_path / 'router')!r}).rank(['multiply the integers'], 3); "
        f"print([m for m in {unused} if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_knn_is_fitted_and_ranks_without_the_libraries_of_other_routers() -> None:
    code = (
        "import numpy, recroute, sys; vectors = numpy.eye(4, dtype=numpy.float32); "
        "recroute.make_router('knn').fit(vectors, numpy.eye(4)).rank(vectors); "
        "print([m for m in ('faiss', 'scipy.sparse', 'sklearn') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_every_public_name_is_there() -> None:
    for name in recroute.__all__:
        assert getattr(recroute, name) is not None


def imports() -> dict[str, set[str]]:
    """What each file imports of ours, inside functions and for type checkers too; registries name places as text.

    A name that a package gives is the package's `__init__.py`; a module of it is the module.
    """
    places = {_module(path): path for path in ROOT.rglob("*.py")}
    found = {}
    for name, path in places.items():
        tree = ast.parse(path.read_text(encoding="utf8"))
        targets = {target for node in ast.walk(tree) for target in _targets(node, places.keys())}
        found[name] = targets & (places.keys() - {name, "recroute"})  # the front door looks its names up late
    return {name: targets for name, targets in found.items() if name != "recroute"}


def _module(path: Path) -> str:
    parts = ("recroute", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _targets(node: ast.AST, known: Collection[str]) -> list[str]:
    """Modules that a statement imports."""
    if isinstance(node, ast.Import):
        return [one.name for one in node.names]
    if isinstance(node, ast.ImportFrom):
        inside = [f"{node.module}.{one.name}" for one in node.names]
        return [name if name in known else str(node.module) for name in inside]
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
        return [str(ast.literal_eval(one)) for one in node.args if isinstance(one, ast.Constant)]
    return []


def test_imports_follow_the_layers() -> None:
    for name, targets in imports().items():
        own = name.split(".")[1]
        for target in targets:
            other = target.split(".")[1]
            assert other == own or LEVEL_OF[other] < LEVEL_OF[own], f"{name} imports {target}"


def test_no_two_files_import_each_other() -> None:
    """Neither directly nor in a circle. A package stands for its `__init__.py`."""
    try:
        TopologicalSorter(imports()).prepare()
    except CycleError as error:
        raise AssertionError(f"circle of imports: {' <- '.join(error.args[1])}") from None


def test_text_files_name_their_encoding() -> None:
    """Else they are read and written in that of the machine, which may lack the characters."""
    for path in [*ROOT.rglob("*.py"), *Path(__file__).parent.rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            encoding = {"read_text": 0, "write_text": 1}.get(node.func.attr)
            if encoding is not None and not any(keyword.arg == "encoding" for keyword in node.keywords):
                assert len(node.args) > encoding, f"{path}, line {node.lineno}: {ast.unparse(node)} names no encoding"


HOLDS_ARRAYS = re.compile(r"\b(NDArray|DataFrame|Array|Floats|Labels|Scores|Index)\b")


def test_what_holds_arrays_or_tables_equals_itself_only() -> None:
    """Comparing them field by field would raise: the truth value of an array is ambiguous."""
    found = 0
    for module in pkgutil.walk_packages([str(ROOT)], "recroute."):
        if module.name in ("recroute.__main__", "recroute.routers.spark"):
            continue
        for cls in vars(importlib.import_module(module.name)).values():
            if not (isinstance(cls, type) and dataclasses.is_dataclass(cls) and cls.__module__ == module.name):
                continue
            if any(HOLDS_ARRAYS.search(str(field.type)) for field in dataclasses.fields(cls)):
                assert cls.__eq__ is object.__eq__, f"{module.name}.{cls.__name__} lacks eq=False"
                assert cls.__hash__ is object.__hash__
                found += 1
    assert found > 80


def test_data_and_results_can_be_compared_and_hashed() -> None:
    data = recroute.simulate(n_llms=5, n_instances=80)
    split = recroute.split_dataset(data)
    found = recroute.evaluate_fitted(recroute.make_router("best_single").fit(split.train), split, n_resamples=10)
    logs = recroute.simulate_logs(data, recroute.make_router("best_single").fit(data), epsilon=0.5)
    kinds = [data, split, found, logs, data.interactions, recroute.Records(pl.DataFrame(logs.table))]
    for one in kinds:
        assert one == one
        assert one in {one}
    twin = dataclasses.replace(data)
    assert data != twin
