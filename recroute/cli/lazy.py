"""Verbs that are imported when they run: --help and Tab do not wait for the libraries behind them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from recroute.cli.signals import leave_in_order


class Verb(NamedTuple):
    """What the list of verbs needs to know of one."""

    place: str  # "module:function", or the Typer of a group of verbs
    panel: str
    line: str


def lazy_group(verbs: Mapping[str, Verb]) -> type[TyperGroup]:
    """A group of these verbs in this order, for `typer.Typer(cls=...)`; verbs added otherwise come after them."""

    class LazyGroup(TyperGroup):
        def __init__(self, *, commands: Mapping[str, Any] | None = None, **attributes: Any) -> None:
            own = {name: LazyCommand(name, verb) for name, verb in verbs.items()}
            super().__init__(commands={**own, **(commands or {})}, **attributes)

    return LazyGroup


class LazyCommand(TyperCommand):
    """A verb by its name, panel and line; parsing its arguments imports it."""

    def __init__(self, name: str, verb: Verb) -> None:
        super().__init__(name, short_help=verb.line, rich_help_panel=verb.panel)
        self.place = verb.place

    def load(self) -> Any:
        """The command itself, a TyperCommand or TyperGroup."""
        module, _, attribute = self.place.partition(":")
        found = getattr(import_module(module), attribute)
        if not isinstance(found, typer.Typer):
            function, found = found, typer.Typer(add_completion=False)
            found.command(self.name)(function)
        command = typer.main.get_command(found)
        command.name = self.name
        return command

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        command = self.load()
        if not isinstance(command, TyperGroup):  # whose verbs are still to be imported
            leave_in_order()
        return command.make_context(*arguments, **options)
