"""The house in numbers: size, functions, imports, circles, and the rooms (files) that a verb walks through.

pytest tests/benchmarks/test_house.py -s
"""

import ast
import json
import subprocess
import sys
from pathlib import Path

import recroute
from recroute.data import write_dataset
from recroute.data.sources import simulate

ROOT = Path(recroute.__file__).parent
WALK = """
import json, sys
from pathlib import Path
root, command = sys.argv[1], sys.argv[2:]
rooms, changes, last = set(), 0, None
def entered(frame, event, _):
    global changes, last
    name = frame.f_code.co_filename
    if event == "call" and name.startswith(root) and not frame.f_code.co_name.startswith("<"):
        changes += last is not None and name != last
        rooms.add(name)
        last = name
from recroute.cli.app import run
sys.setprofile(entered)
try:
    code = run(command)
finally:
    sys.setprofile(None)
print(json.dumps({"code": code, "rooms": len(rooms), "changes": changes}), file=sys.stderr)
"""
TUNE = "tune {data} --out {out}/study --router ridge --trials 3 --pool-sizes 3 --folds 2 --quiet"
COMMANDS = {
    "scale": "scale {data} --router svd --pool-sizes 3,5 --quiet",
    "tune": TUNE,
    "coldstart": "coldstart {data} --router ridge --anchors 0,4 --seeds 1 --quiet",
    "rank": "route {out}/router question",
}


def test_size_and_functions() -> None:
    files = sorted(ROOT.rglob("*.py"))
    texts = [path.read_text(encoding="utf8") for path in files]
    lines = sum(text.count("\n") for text in texts)
    trees = [ast.parse(text) for text in texts]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    imports = sum(
        (node.end_lineno or 0) - node.lineno + 1 for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)
    )
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    texts_of = [node.body[0] for node in nodes if isinstance(node, documented) and ast.get_docstring(node, clean=False)]
    docs = sum((text.end_lineno or 0) - text.lineno + 1 for text in texts_of)
    blank = sum(not line.strip() for text in texts for line in text.splitlines())
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = [f for f in functions if (f.end_lineno or 0) - f.lineno + 1 - _doc_lines(f) > 40]
    wide = [f for f in functions if len(_parameters(f)) > 9]
    print(f"\n{len(files)} files, {lines:,} lines: imports {imports:,} ({imports / lines:.1%}), docstrings {docs:,}, ")
    print(f"  blank {blank:,}, the rest (code) {lines - imports - docs - blank:,}")
    print(f"{len(functions):,} functions, {len(long)} over 40 lines: {', '.join(sorted(f.name for f in long))}")
    print(f"{len(wide)} with over 9 parameters: {', '.join(sorted(f.name for f in wide))}")
    assert files


def _doc_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    if not ast.get_docstring(node, clean=False):
        return 0
    return (node.body[0].end_lineno or 0) - node.body[0].lineno + 1


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    found = [one.arg for one in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]]
    return [name for name in found if name not in ("self", "cls")]


def test_rooms_that_a_verb_enters(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_dataset(simulate(n_instances=120, n_llms=12, seed=0), data)
    fit = [sys.executable, "-m", "recroute", "fit", str(data), "--router", "ridge", "--out", str(tmp_path / "router")]
    subprocess.run([*fit, "--quiet"], check=True)
    print()
    for name, command in COMMANDS.items():
        parts = [part.format(data=data, out=tmp_path) for part in command.split()]
        walked = [sys.executable, "-c", WALK, str(ROOT), *parts]
        found = subprocess.run(walked, capture_output=True, text=True, encoding="utf8", check=True)
        numbers = json.loads(found.stderr.strip().splitlines()[-1])
        print(f"{name}: {numbers['rooms']} files entered, {numbers['changes']:,} changes of room")
        assert numbers["code"] == 0
