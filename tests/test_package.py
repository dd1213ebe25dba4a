"""What holds for the package as a whole."""

import ast
import subprocess
import sys
from pathlib import Path

import recroute

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
    ("errors", "_version", "memo", "threads"),
    ("registry",),
    ("data",),
    ("splits", "encoders", "retrieval", "metrics"),
    ("bridges",),
    ("routers",),
    ("pools", "testing", "litellm"),
    ("evaluation",),
    ("coldstart", "subpool", "offpolicy"),
    ("tuning", "report", "serve"),
    ("cli",),
    ("__main__",),
)
LEVEL_OF = {name: level for level, names in enumerate(LEVELS) for name in names}


def test_import_is_light() -> None:
    code = f"import recroute, sys; print([m for m in {HEAVY} if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_every_public_name_is_there() -> None:
    for name in recroute.__all__:
        assert getattr(recroute, name) is not None


def test_imports_follow_the_layers() -> None:
    for path in ROOT.rglob("*.py"):
        own = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if own == "__init__":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            if not (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("recroute.")):
                continue
            other = (node.module or "").split(".")[1]
            assert other == own or LEVEL_OF[other] < LEVEL_OF[own], f"{path} imports {node.module}"
