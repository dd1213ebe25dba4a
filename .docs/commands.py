"""Reference of the command line, read from its verbs and their options."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer
from tables import code, plain, table
from typer.core import TyperGroup

from recroute.cli.app import app


def verbs(command: Any = None, name: str = "recroute") -> Iterator[tuple[str, Any]]:
    """Every verb of the command line by its words."""
    command = typer.main.get_command(app) if command is None else command
    command = command.load() if hasattr(command, "load") else command
    if not isinstance(command, TyperGroup):
        yield name, command
        return
    for word, inner in command.commands.items():
        yield from verbs(inner, f"{name} {word}")


def verb_pages() -> Iterator[str]:
    for name, command in verbs():
        about, examples = split_help(command.help or "")
        yield f"## {name}\n\n{about}\n\n```bash\n{examples}\n```\n\n"
        panels: dict[str, list[list[str]]] = {}
        for option in command.params:
            if option.name != "help" and not getattr(option, "hidden", False):
                panel = getattr(option, "rich_help_panel", None) or "Options"
                panels.setdefault(panel, []).append(option_row(option))
        for panel, rows in panels.items():
            yield table([panel, "default", "meaning"], rows)


def split_help(text: str) -> tuple[str, str]:
    """Prose of a help text as Markdown, and its example commands."""
    examples = re.findall(r"^(?:Example: )?(recroute .*)$", text, re.MULTILINE)
    prose = re.sub(r"^(?:Example: )?recroute .*$", "", text, flags=re.MULTILINE).replace("\b", "")
    return "\n\n".join(plain(part) for part in prose.strip().split("\n\n") if part.strip()), "\n".join(examples)


def option_row(option: Any) -> list[str]:
    argument = option.param_type_name == "argument"
    names = [option.metavar or option.name.upper()] if argument else [*option.opts, *option.secondary_opts]
    return [", ".join(map(code, names)), option_default(option), plain(getattr(option, "help", "") or "")]


def option_default(option: Any) -> str:
    """Default of an option, as it would be typed; nothing for one that is off or chosen when it runs."""
    value = option.default
    if option.required:
        return "required"
    if value in (None, (), [], False) or callable(value):
        return ""
    return code(",".join(map(str, value)) if isinstance(value, list | tuple) else value)
