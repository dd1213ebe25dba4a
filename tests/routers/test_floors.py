"""The two floors of a router: what fits, scores and ranks knows nothing of what is remembered."""

import ast
from pathlib import Path

import recroute

ROOT = Path(recroute.__file__).parent
UPPER = ("memory", "refresh", "base", "registry", "storage", "parts")


def imported(module: str) -> set[str]:
    """The modules of recroute that a module names in an import, also inside a function."""
    file = ROOT.parent / f"{module.replace('.', '/')}.py"
    file = file if file.is_file() else ROOT.parent / module.replace(".", "/") / "__init__.py"
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("recroute"):
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name for name in inner if (ROOT.parent / f"{name.replace('.', '/')}.py").is_file()} | {
                node.module
            }
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("recroute")}
    return found - {"recroute"}


def test_the_core_of_a_router_imports_nothing_of_what_routers_remember() -> None:
    seen, waiting = set[str](), {"recroute.routers.core"}
    while waiting:
        module = waiting.pop()
        seen.add(module)
        waiting |= imported(module) - seen
    assert "recroute.data.prompts" in seen
    assert not [name for name in seen if name.startswith(tuple(f"recroute.routers.{part}" for part in UPPER))]
