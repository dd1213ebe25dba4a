"""How a router declares its hyperparameters and what a fit sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from typing import Any

from numpy.typing import NDArray

from recroute.util.arrays import RULE, ArrayRule, Arrays, rules_of

GROUP = "group"  # in the metadata of a field
SHARED = frozenset({"n_llms", "n_prompts"})  # dimensions that a router has in common with its parts


def setting(
    default: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] | None = None,
    help: str = "",
) -> Any:
    """A hyperparameter: its default, its closed range or its choices, and one line of help, declared once."""
    return field(default=default, metadata={"low": low, "high": high, "choices": choices, "help": help})


def fitted(*shape: str, array: bool = True, needed: bool = True, **limits: Any) -> Any:
    """Declares what `_fit` sets; no parameter of the constructor. What is not needed, folders may lack.

    Parameters
    ----------
    *shape : str
        Dimensions of the array, see `recroute.util.arrays`: `fitted("n_llms", "n_factors")`. Usual names are `n_llms`,
        `width` (of the vectors that the router reads) and `n_prompts` (training prompts with a record). Without them
        any array passes.
    array : bool
        Whether it is an array, which `save` writes.
    needed : bool
    **limits
        Of `ArrayRule`: kind, range, whether it may hold NaN or infinity. A folder whose arrays are others is not
        loaded.
    """
    metadata: dict[str, Any] = {"array": array, "needed": needed}
    if array and shape:
        metadata[RULE] = ArrayRule(shape=shape, needed=needed, **limits)
    elif array:
        metadata[RULE] = ArrayRule(kind="any", needed=needed)
    return field(init=False, repr=False, compare=False, metadata=metadata)


def fitted_group(prefix: str, of: Any) -> Any:
    """Declares several arrays in one field, saved under `prefix` and their own names.

    Parameters
    ----------
    prefix : str
    of : type, mapping or callable
        A dataclass of fields made by `recroute.util.arrays.array`; a class with `state`, `of_state` and `state_rules`;
        for a dict of arrays their rules by name; or what gives one of these for a router.
    """
    return field(init=False, repr=False, compare=False, metadata={GROUP: (prefix, of)})


@dataclass(frozen=True)
class Layout:
    """The arrays of a router by the names they are saved under, and the dimensions that are known beforehand."""

    rules: dict[str, ArrayRule]
    sizes: dict[str, int]

    def under(self, prefix: str) -> Layout:
        """As a part of another router has them."""
        rules = {prefix + name: rule.under(prefix, SHARED) for name, rule in self.rules.items()}
        return Layout(rules, {name if name in SHARED else prefix + name: size for name, size in self.sizes.items()})

    def __or__(self, other: Layout) -> Layout:
        return Layout(self.rules | other.rules, self.sizes | other.sizes)


def groups(router: Any) -> Iterator[tuple[Field[Any], str, Any]]:
    """The fields of a router that hold several arrays, with their prefixes and what they are made of."""
    for f in fields(router):
        if GROUP in f.metadata:
            prefix, of = f.metadata[GROUP]
            yield f, prefix, of if isinstance(of, type | Mapping) else of(router)


def group_rules(of: Any, names: set[str]) -> dict[str, ArrayRule]:
    """The rules of a group's arrays; `names` are those that are there."""
    if isinstance(of, Mapping):
        return dict(of)
    return of.state_rules(names) if hasattr(of, "state_rules") else rules_of(of)


def group_state(value: Any) -> dict[str, NDArray[Any]]:
    """The arrays of a group, by their own names."""
    if isinstance(value, dict):
        return value
    return value.state() if hasattr(value, "state") else {f.name: getattr(value, f.name) for f in fields(value)}


def group_of(of: Any, arrays: Arrays) -> Any:
    """What `group_state` took apart; KeyError if an array is missing."""
    if isinstance(of, Mapping):
        return {name: arrays[name] for name, rule in of.items() if rule.needed or name in arrays}
    if hasattr(of, "of_state"):
        return of.of_state(arrays)
    return of(**{f.name: arrays[f.name] for f in fields(of)})
