"""Verbs that are imported when they run: --help and Tab do not wait for the libraries behind them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from recroute.cli.signals import leave_in_order
from recroute.errors import RecrouteError


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


class StrictCommand(TyperCommand):
    """A command that refuses an option given twice if it takes one value; Click would silently take the last."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:  # completion
            *_, given = self.make_parser(ctx).parse_args(args=list(args))
            options: Counter[Any] = Counter(param for param in given if param.param_type_name == "option")
            for option, n in options.items():
                takes_one = not option.multiple and (not option.is_flag or option.secondary_opts)
                if takes_one and n > 1:
                    names = "/".join([*option.opts, *option.secondary_opts])
                    raise RecrouteError(f"{names} is given {n} times; give it once")
        return super().parse_args(ctx, args)


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
            found.command(self.name, cls=StrictCommand)(function)
        command = typer.main.get_command(found)
        command.name = self.name
        return command

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        command = self.load()
        if not isinstance(command, TyperGroup):  # whose verbs are still to be imported
            leave_in_order()
        return command.make_context(*arguments, **options)
