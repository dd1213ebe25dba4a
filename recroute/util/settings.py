"""Settings of routers, experiments, searches and the service, declared as fields of dataclasses.

A field made by `setting()` has a default, a range or choices, and a line of help. Keywords in Python, options of the
command line and keys of TOML files are all derived from it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import cache, wraps
from inspect import Parameter, signature
from typing import Any, TypeVar

from recroute.errors import DataError, RecrouteError, UnknownNameError
from recroute.util.arguments import as_numbers, as_texts, as_whole_numbers, check_kind, classes_of


def setting(
    default: Any = MISSING,
    *,
    low: float | None = None,
    above: float | None = None,
    high: float | None = None,
    choices: Sequence[str] | None = None,
    help: str = "",
    panel: str | None = None,
    option: str | None = None,
    repeated: bool = False,
    **of_field: Any,
) -> Any:
    """Declare a setting as a field of a dataclass.

    Parameters
    ----------
    default : optional
        Without one the setting is required, and an argument of its verb.
    low, high : float, optional
        Closed range of a number, or of the entries of a list.
    above : float, optional
        Open lower bound of a number, in place of `low`.
    choices : list of str, optional
        Valid values of a text, or of the entries of a list.
    help : str
        One line, for `--help` and notebooks.
    panel : str, optional
        Heading under which `--help` lists it.
    option : str, optional
        Name of the option on the command line. Default: the field's name with dashes. "": not an option.
    repeated : bool
        Whether the option is repeated for each entry of a list, rather than given once as a,b,c.
    **of_field
        Options of `dataclasses.field`: `default_factory`, where the default depends on the machine; `repr=False` for a
        secret, which is then not printed with the settings.
    """
    limits = {"low": low, "high": high, "above": above, "choices": choices}
    shown = {"help": help, "panel": panel, "option": option, "repeated": repeated}
    found: Any = field(default=default, metadata={**limits, **shown}, **of_field)
    return found


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Base class of settings of experiments, searches and the service, which are checked when they are made.

    Raises DataError for a value of the wrong type or outside its range, UnknownNameError for one that is not among the
    choices.
    """

    def __post_init__(self) -> None:
        for f in fields(self):
            object.__setattr__(self, f.name, _checked(self, f))


LISTS: dict[str, Callable[..., Any]] = {"int": as_whole_numbers, "str": as_texts, "float": as_numbers}
S = TypeVar("S", bound=Callable[..., Any])


def _checked(settings: Settings, f: Field[Any]) -> Any:
    """The value of a field after its checks; sequences become lists."""
    value, kind = getattr(settings, f.name), list_of(f)
    if value is None and "None" in str(f.type):
        return None
    if kind is not None:
        values = LISTS[kind](value, f.name)
        for one in values:
            check_range(one, f, f.name)
        return values
    cls: Any = type(settings)
    kinds = kinds_of(cls).get(f.name)
    if kinds:
        check_kind(value, kinds, f.name)
    check_range(value, f, f.name)
    return value


def list_of(f: Field[Any]) -> str | None:
    """Type of the entries of a field that is a list: "int", "float" or "str"; None for other fields."""
    match = re.match(r"Sequence\[(int|float|str)\]", str(f.type))
    return match[1] if match else None


def check_range(value: Any, f: Field[Any], what: str, of: str = "", error: type[RecrouteError] = DataError) -> None:
    """Raise `error` if a value is outside the range of its field, UnknownNameError if it is not among the choices.

    None passes. `what` is the name in the message, `of` an addition to it such as " of knn".
    """
    if value is None:
        return
    low, high = f.metadata.get("low"), f.metadata.get("high")
    if (choices := f.metadata.get("choices")) is not None:
        if value not in choices:
            raise UnknownNameError(f.name.replace("_", " "), str(value), choices, where=of)
    elif (low is not None and not value >= low) or (high is not None and not value <= high):
        limits = f"at least {low:g}" if high is None else f"between {low:g} and {high:g}"
        raise error(f"{what}={value!r} must be {limits}")
    elif (above := f.metadata.get("above")) is not None and not value > above:
        raise error(f"{what}={value!r} must be more than {above:g}")


@cache
def kinds_of(cls: type) -> dict[str, tuple[type, ...]]:
    """Classes that a dataclass's annotations name, by field; without fields whose annotation is not a plain class."""
    names = {name: value for one in reversed(cls.__mro__) for name, value in vars(sys.modules[one.__module__]).items()}
    kinds = {f.name: classes_of(f.type, names) for f in fields(cls) if f.init}
    return {name: kind for name, kind in kinds.items() if kind}


def check_known(names: Iterable[str], known: Sequence[str], of: str) -> None:
    """Raise UnknownNameError for the first of these names that is not a setting of `of`."""
    for name in names:
        if name not in known:
            raise UnknownNameError("setting", name, known, where=f" of {of}")


def takes_settings(cls: type[Settings], without: Sequence[str] = ()) -> Callable[[S], S]:
    """Decorator: lists the fields of `cls` as keywords in the signature and docstring, in place of `**settings`.

    Fields in `without` are left out, because they are parameters of the function itself. The decorated function raises
    UnknownNameError for a keyword that is not a field.
    """

    def decorate(function: S) -> S:
        own = signature(function)
        named = [one for one in own.parameters.values() if one.kind is not Parameter.VAR_KEYWORD]
        taken = [f for f in fields(cls) if f.name not in without]
        known = [f.name for f in taken]
        settings = [Parameter(f.name, Parameter.KEYWORD_ONLY, default=f.default, annotation=f.type) for f in taken]
        parameters = {one.name for one in named}

        @wraps(function)
        def call(*args: Any, **keywords: Any) -> Any:
            check_known([name for name in keywords if name not in parameters], known, function.__name__)
            return function(*args, **keywords)

        first = [one for one in named if one.kind is not Parameter.KEYWORD_ONLY]
        last = [one for one in named if one.kind is Parameter.KEYWORD_ONLY]
        call.__signature__ = own.replace(parameters=[*first, *settings, *last])  # type: ignore[attr-defined]
        lines = "\n".join(f"    {f.name} : {f.type}\n        {f.metadata['help']}" for f in taken)
        call.__doc__ = (function.__doc__ or "").replace("    **settings\n", f"{lines}\n")
        return call  # type: ignore[return-value]

    return decorate
