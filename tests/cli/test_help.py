"""Every verb: its help is grouped and has a command that can be run as it stands; its options are given once."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from recroute.cli.app import app
from recroute.cli.lazy import LazyCommand
from recroute.errors import RecrouteError

# Of the start of the command line; a verb imports the rest when it runs.
HEAVY = ("numpy", "polars", "scipy", "recroute.data", "recroute.routers")


def loaded(command: Any) -> Any:
    return command.load() if isinstance(command, LazyCommand) else command


def verbs(command: Any, *names: str) -> Iterator[tuple[str, Any]]:
    """Every command and group of commands by its words, the root as "recroute"."""
    command = loaded(command)
    yield " ".join(("recroute", *names)), command
    if isinstance(command, TyperGroup):
        for name, inner in command.commands.items():
            yield from verbs(inner, *names, name)


VERBS = dict(verbs(typer.main.get_command(app)))


@pytest.mark.parametrize("name", VERBS)
def test_help_has_an_example_that_its_options_accept(name: str, parse: Callable[[str], None]) -> None:
    text = VERBS[name].help
    assert re.search(r"^Example: recroute", text, re.MULTILINE)
    for example in re.findall(r"^(?:Example: )?(recroute .*)$", text, re.MULTILINE):
        assert example == name or example.startswith(f"{name} ") or name == "recroute"
        parse(example)


def test_an_example_with_a_wrong_option_would_be_seen(parse: Callable[[str], None]) -> None:
    with pytest.raises(typer.TyperException, match="rooter"):
        parse("recroute fit my_dataset --rooter svd --out my_router")


def test_every_verb_has_a_panel_and_a_line_that_fits() -> None:
    groups = [command for command in VERBS.values() if isinstance(command, TyperGroup)]
    for verb in (verb for group in groups for verb in group.commands.values()):
        assert verb.rich_help_panel
        assert verb.short_help is not None
        assert len(verb.short_help) <= 62  # beside the name, in 80 columns
        assert verb.short_help.endswith(".")


def test_long_help_is_grouped() -> None:
    for name, command in VERBS.items():
        options = [p for p in command.params if p.param_type_name == "option"]
        ungrouped = [p.name for p in options if p.rich_help_panel is None]
        assert len(ungrouped) <= 8, f"{name}: put some of {ungrouped} into a panel (rich_help_panel)"


@pytest.mark.parametrize("name", [name for name, command in VERBS.items() if not isinstance(command, TyperGroup)])
def test_an_option_that_takes_one_value_is_not_taken_twice(name: str) -> None:
    for option in [param for param in VERBS[name].params if param.param_type_name == "option"]:
        if option.multiple or (option.is_flag and not option.secondary_opts):
            continue
        first, last = option.opts[0], [*option.opts, *option.secondary_opts][-1]
        given = [first, last] if option.is_flag else [first, "1", f"{last}=2"]
        with pytest.raises(RecrouteError, match=f"{first}.* is given 2 times; give it once"):
            VERBS[name].make_context(name, given)


def test_flags_and_repeated_options_may_be_given_twice() -> None:
    given = ["my_router", "--records", "a", "--records", "b", "--quiet", "--quiet"]
    assert len(VERBS["recroute refresh"].make_context("refresh", given).params["records"]) == 2


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["data", "--help"]])
def test_the_start_imports_no_library_of_the_verbs(arguments: list[str]) -> None:
    seen = f"print([m for m in {HEAVY} if m in sys.modules])"
    code = f"import sys; from recroute.cli.app import run; run({arguments}); {seen}"
    out = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert out.splitlines()[-1] == "[]"
