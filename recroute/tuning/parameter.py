"""`Parameter`: the values to try for one hyperparameter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Protocol

from recroute.errors import DataError, UnknownNameError
from recroute.util.registry import split_outside

MAX_INTEGER = 2.0**53  # largest range in which a float represents every integer

Value = str | int | float | bool | None


class Suggests(Protocol):
    """The part of an Optuna trial that a search space uses."""

    def suggest_categorical(self, name: str, choices: Any) -> Any: ...
    def suggest_int(self, name: str, low: int, high: int, *, log: bool) -> int: ...
    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> float: ...


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """Values to try for one hyperparameter: a range, a list of choices, or subsets of parts.

    Parameters
    ----------
    low, high : int or float, optional
        Closed range; of integers if both are integers.
    log : bool
        Whether to search the range on a logarithmic scale.
    none : bool
        Whether to try None as well, with which the router chooses the value on its training data.
    choices : tuple, optional
    parts : tuple of str, optional
        Parts to include or leave out; those included are joined by +, after `always`.
    always : str
        Parts that are always included.
    """

    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    none: bool = False
    choices: tuple[Value, ...] | None = None
    parts: tuple[str, ...] | None = None
    always: str = ""

    @classmethod
    def read(cls, table: Any, where: str) -> Parameter:
        """Read a TOML table; `where` names it in messages.

        Raises
        ------
        DataError
            If it is not a table with exactly one of range, choices and parts.
        UnknownNameError
            For an unknown key.
        """
        if not isinstance(table, Mapping):
            raise DataError(f"{where} is {table!r}; write a table such as {{ low = 1, high = 50, log = true }}")
        known = [field.name for field in fields(cls)]
        for key in table:
            if key not in known:
                raise UnknownNameError("key", key, known, where=f" of {where}")
        given: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
        }
        parameter = cls(**given)
        parameter._check(where)
        return parameter

    def _check(self, where: str) -> None:
        kinds = [self.low is not None or self.high is not None, self.choices is not None, self.parts is not None]
        if sum(kinds) != 1:
            raise DataError(f"{where} needs either low and high, or choices, or parts")
        for name, kind in (("log", bool), ("none", bool), ("always", str)):
            if not isinstance(value := getattr(self, name), kind):
                raise DataError(f"{where}: {name} = {value!r} is not {'true or false' if kind is bool else 'a string'}")
        if kinds[0]:
            self._check_range(where)
        _check_list(self.choices, (str, int, float), f"{where}: choices")
        _check_list(self.parts, (str,), f"{where}: parts")

    def _check_range(self, where: str) -> None:
        numbers = [x for x in (self.low, self.high) if isinstance(x, int | float) and not isinstance(x, bool)]
        if len(numbers) < 2 or not numbers[0] < numbers[1] or max(map(abs, numbers)) > MAX_INTEGER:
            raise DataError(f"{where}: low={self.low!r}, high={self.high!r} is not a range; low must be below high")
        if self.log and numbers[0] <= 0:
            raise DataError(f"{where}: low = {self.low!r} must be above 0 if log = true")

    @property
    def whole(self) -> bool:
        """Whether the range is one of integers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def suggest(self, trial: Suggests, key: str) -> Value:
        """Let the trial propose a value under the name `key`."""
        if self.parts is not None:
            chosen = [part for part in self.parts if trial.suggest_categorical(f"{key}: {part}", [False, True])]
            return " + ".join([self.always, *chosen] if self.always else chosen or [self.parts[0]])
        if self.choices is not None:
            return trial.suggest_categorical(key, list(self.choices))
        if self.none and trial.suggest_categorical(f"{key} on train", [True, False]):
            return None
        assert self.low is not None
        assert self.high is not None
        if self.whole:
            return trial.suggest_int(key, int(self.low), int(self.high), log=self.log)
        # four significant digits, so that a label shows the exact value
        return float(f"{trial.suggest_float(key, self.low, self.high, log=self.log):.4g}")

    def encode(self, value: Value, key: str) -> dict[str, Any]:
        """Trial parameters that correspond to `value`; empty if it is not among the values to try."""
        if self.parts is not None:
            included = split_outside(str(value), "+")
            return {f"{key}: {part}": part in included for part in self.parts}
        if self.choices is not None:
            return {key: value} if value in self.choices else {}
        if value is None:
            return {f"{key} on train": True} if self.none else {}
        assert self.low is not None
        assert self.high is not None
        if not isinstance(value, int | float) or not self.low <= value <= self.high:
            return {}
        return {key: value, **({f"{key} on train": False} if self.none else {})}

    def to_dict(self) -> dict[str, Any]:
        """Fields that are set, in the form of a TOML table."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
            if value not in (None, False, "")
        }


def _check_list(listed: Any, kinds: tuple[type, ...], where: str) -> None:
    """Raise DataError unless `listed` is None or a list of distinct values of these types."""
    if listed is None:
        return
    if not isinstance(listed, tuple) or not listed or not all(isinstance(value, kinds) for value in listed):
        raise DataError(f"{where} = {listed!r} is not a list of {'values' if len(kinds) > 1 else 'strings'}")
    if len({(type(value), value) for value in listed}) < len(listed):
        raise DataError(f"{where} = {list(listed)!r} contains a value twice")
