"""A message is one line that any terminal can show, whatever it quotes."""

import ast
import re
from pathlib import Path

import pytest

import recroute
from recroute.errors import LONGEST_LINE, RecrouteError, UnknownNameError, argument, on_command_line, one_line

ROOT = Path(recroute.__file__).parent
OPTION = re.compile(r"(?<![-\w])--[a-z][a-z-]+\b(?!:)")
OTHER_PROGRAMS = re.compile("lm_eval|run the evaluation with")
FOR_THE_COMMAND_LINE = {"errors.py", "evaluation/card.py", "evaluation/run_folder.py"}


@pytest.mark.parametrize("name", ["q" * 10_000, "a b " * 2_500, "it's " * 2_000])
def test_a_long_name_is_cut(name: str) -> None:
    line = str(RecrouteError(f"score 1.7 for instance {name!r}, llm 'llama' is outside [0, 1]; mend it"))
    assert len(line) < 500
    assert line.startswith("score 1.7 for instance ")
    assert line.endswith("llm 'llama' is outside [0, 1]; mend it")
    assert "characters ...]" in line


def test_many_names_are_cut() -> None:
    assert len(one_line("name " * 5_000)) < LONGEST_LINE + 50
    assert len(str(UnknownNameError("llm", "q" * 10_000, ["r" * 10_000] * 20))) < LONGEST_LINE + 50


def test_what_is_not_long_stays() -> None:
    line = "recroute's folder /" + "a/" * 60 + " is none: " + "word " * 60 + "'a' and 'b'; name another's"
    assert one_line(line) == line
    assert one_line(one_line("x" * 5000)) == one_line("x" * 5000)


def test_control_characters_are_shown_not_sent() -> None:
    line = one_line("llm '\x1b]0;owned\x07\x1b[2J'\r\nis\x00 \u202eevil\udcff µ")
    assert line == "llm '\\x1b]0;owned\\x07\\x1b[2J' is\\x00 \\u202eevil\\udcff µ"


def library_files() -> list[Path]:
    files = [path.relative_to(ROOT) for path in sorted(ROOT.rglob("*.py"))]
    return [path for path in files if path.parts[0] not in ("cli", "serve") and str(path) not in FOR_THE_COMMAND_LINE]


def named(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def test_messages_advise_options_on_the_command_line_and_arguments_in_python() -> None:
    assert f"use {argument('split', 'random')}" == "use split='random'"
    with on_command_line():
        assert argument("split", "random") == "--split random"
        assert argument("n_jobs", 1, option="jobs") == "--jobs 1"
        assert argument("llm_id", "NAME", option="set") == "--set llm_id=NAME"
        assert argument("n_folds", option="folds") == "--folds"
    assert argument("n_folds", option="folds") == "n_folds"


@pytest.mark.parametrize("path", library_files(), ids=str)
def test_no_message_of_the_library_names_an_option(path: Path) -> None:
    """Only the command line speaks of its options: a caller in Python cannot type them."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    told = {id(one) for call in ast.walk(tree) if named(call, "either") for one in ast.walk(call)}
    told |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    told |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "option"}
    options = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and OPTION.search(node.value)
        if not OTHER_PROGRAMS.search(node.value)
        if id(node) not in told
    ]
    assert options == []
