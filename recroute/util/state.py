"""Declared fields that hold arrays, from which saving, checks at load and updates for new LLMs follow.

A field holds one array, a list of routers, or several arrays: as a dataclass, as a dict, or in an object with `state`,
`state_rules` and `of_state`. `fitted` declares a field of a router, `array` and `several` those of a dataclass.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recroute.util.arrays import ArrayError, ArrayRule, Arrays, check_arrays, inside

KEPT = "kept"  # key in the metadata of a field
SHARED = ("n_llms", "n_prompts")  # dimensions that a router has in common with its parts
EVERY_FOLDER = object()  # value of `older` for a field that every saved folder has


@dataclass(frozen=True)
class ListOf:
    """A list of routers; `blank(router)` makes unfitted ones for the router that holds them."""

    blank: Callable[[Any], list[Any]]


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Declaration of a field, see `fitted`: with `rule` it holds one array, with `of` several."""

    rule: ArrayRule | None = None
    of: Any = None
    prefix: str | None = None
    older: Any = EVERY_FOLDER
    for_unseen: bool = False
    follows: Callable[[Any], Any] | None = None

    @property
    def needed(self) -> bool:
        """Whether every saved folder has it."""
        return self.older is EVERY_FOLDER and (self.rule is None or self.rule.needed)


def fitted(
    *shape: str,
    of: Any = None,
    prefix: str | None = None,
    saved: bool = True,
    older: Any = EVERY_FOLDER,
    for_unseen: bool = False,
    follows: Callable[[Any], Any] | None = None,
    **limits: Any,
) -> Any:
    """Declare a field that `_fit` sets, such as `fitted("n_llms", "n_factors")`; the constructor does not take it.

    Saving, checks at load, and updates of the field when LLMs are added or removed follow from the declaration.

    Parameters
    ----------
    *shape : str
        Dimensions of the array, see `recroute.util.arrays`. Usual names are `n_llms`, `width` (of the vectors that the
        router reads) and `n_prompts` (training prompts with a record). Without dimensions, any array is valid.
    of : type, mapping or callable, optional
        For several arrays: a dataclass with fields made by `array`; a class with `state`, `state_rules` and `of_state`;
        for a dict of arrays, their rules by name; a function of the router that returns one of these; or `ListOf`. An
        object may have `take_llms(positions)` and `grown(new)`, which are called when LLMs are removed or added.
    prefix : str, optional
        Prefix of their names in the folder. Default: the field's name and a dot.
    saved : bool
        Whether the field is saved.
    older : callable or None, optional
        Given if folders of older versions may lack the field: a function of the router that computes it, or None to
        leave it unset.
    for_unseen : bool
        Whether it is needed only for adding unseen LLMs. A router from an older folder that lacks it cannot add any.
    follows : callable, optional
        Function of the router that recomputes the field after LLMs were added or removed.
    **limits
        Parameters of `ArrayRule`: kind, range, whether NaN or infinity is valid; `per_llm` if there is no shape.
    """
    metadata: dict[str, Any] = {}
    if saved:
        older = None if for_unseen else older
        needed = older is EVERY_FOLDER
        kind = {} if shape else {"kind": "any"}
        rule = None if of is not None else ArrayRule(shape=shape or None, needed=needed, **kind | limits)
        metadata[KEPT] = Kept(rule=rule, of=of, prefix=prefix, older=older, for_unseen=for_unseen, follows=follows)
    return field(init=False, repr=False, compare=False, metadata=metadata)


def array(*shape: str, default: Any = MISSING, **limits: Any) -> Any:
    """Declare a field of a dataclass that holds one array; `limits` are parameters of `ArrayRule`."""
    return field(default=default, metadata={KEPT: Kept(rule=ArrayRule(shape=shape, **limits))})


def several(of: Any, prefix: str | None = None) -> Any:
    """Declare a field of a dataclass that holds several arrays; for the parameters see `fitted`."""
    return field(metadata={KEPT: Kept(of=of, prefix=prefix)})


def kept_fields(owner: Any) -> Iterator[tuple[str, Kept, str]]:
    """Name, declaration and prefix of each saved field of an object or class."""
    for f in fields(owner):
        if (kept := f.metadata.get(KEPT)) is not None:
            yield f.name, kept, f.name.rstrip("_") + "." if kept.prefix is None else kept.prefix


def arrays_of(owner: Any) -> dict[str, NDArray[Any]]:
    """All arrays of an object, by the names that they are saved under."""
    if isinstance(owner, dict):
        return owner
    if hasattr(owner, "state"):
        of_state: dict[str, NDArray[Any]] = owner.state()
        return of_state
    arrays: dict[str, NDArray[Any]] = {}
    for name, kept, prefix in kept_fields(owner):
        value = getattr(owner, name) if kept.needed else getattr(owner, name, None)
        if value is None:
            continue
        if kept.rule is not None:
            arrays[name] = np.asarray(value)
            continue
        inner = {f"{i}.": part for i, part in enumerate(value)} if isinstance(value, list) else {"": value}
        arrays |= {f"{prefix}{at}{key}": each for at, part in inner.items() for key, each in arrays_of(part).items()}
    return arrays


def rules_of(owner: Any, names: Collection[str] = ()) -> dict[str, ArrayRule]:
    """The rules for the arrays of an object or class by name, without lists; `names` are those of the saved arrays."""
    if isinstance(owner, Mapping):
        return dict(owner)
    if hasattr(owner, "state_rules"):
        of_state: dict[str, ArrayRule] = owner.state_rules(names)
        return of_state
    rules = {}
    for name, kept, prefix in kept_fields(owner):
        if kept.rule is not None:
            rules[name] = kept.rule
        elif not isinstance(kept.of, ListOf):
            own = [key.removeprefix(prefix) for key in names if key.startswith(prefix)]
            if not kept.needed and not own:
                continue
            rules |= {prefix + key: rule for key, rule in rules_of(_made_of(owner, kept), own).items()}
    return rules


def made(of: Any, arrays: Arrays) -> Any:
    """The inverse of `arrays_of`, for a class or a mapping of rules; the arrays must have been checked."""
    if isinstance(of, Mapping):
        return {name: arrays[name] for name in of if name in arrays}
    if hasattr(of, "of_state"):
        return of.of_state(arrays)
    values = {}
    for name, kept, prefix in kept_fields(of):
        if kept.rule is None:
            values[name] = made(kept.of, inside(arrays, prefix))
        elif name in arrays:
            values[name] = arrays[name][()]  # an array without dimensions becomes a number
    return of(**values)


def restore(router: Any, arrays: Arrays, sizes: dict[str, int], place: str = "") -> None:
    """Set the fields of an unfitted router from the arrays of a folder, after checking them all.

    Parameters
    ----------
    router : Router
        Its `known_sizes()` returns the dimensions that it knows beforehand; its `check_fitted(sizes)` raises
        RouterError for faults that shapes and ranges cannot express.
    arrays : mapping of str to array
        As returned by `arrays_of`.
    sizes : dict of str to int
        Known sizes of dimensions; those that are found are added.
    place : str
        Prefix of the names of the arrays in messages.

    Raises
    ------
    ArrayError
        If an array is missing, breaks its rule, or belongs to no field.
    """
    sizes |= router.known_sizes()
    lists = [each for each in kept_fields(router) if isinstance(each[1].of, ListOf)]
    own = {name: array for name, array in arrays.items() if not any(_in_list(name, prefix) for _, _, prefix in lists)}
    check_arrays(own, rules_of(router, own), sizes, place)
    for name, kept, prefix in kept_fields(router):
        if isinstance(kept.of, ListOf):
            continue
        if kept.of is not None and (kept.needed or inside(own, prefix)):
            setattr(router, name, made(_made_of(router, kept), inside(own, prefix)))
        elif name in own:
            setattr(router, name, own[name])
        elif kept.older is not None:
            setattr(router, name, kept.older(router))
    for name, kept, prefix in lists:
        setattr(router, name, _restored_list(kept.of.blank(router), name, prefix, arrays, sizes, place))
    router.check_fitted(sizes)


def _restored_list(
    parts: list[Any], name: str, prefix: str, arrays: Arrays, sizes: dict[str, int], place: str
) -> list[Any]:
    n = sizes.setdefault("n_" + name.rstrip("_"), len(parts))
    own = {f"{prefix}{i}." for i in range(len(parts))}
    foreign = [each for each in arrays if _in_list(each, prefix) and each.partition(".")[0] + "." not in own]
    if n != len(parts) or foreign:
        what = f"array {place}{foreign[0]} does not belong there" if foreign else f"the arrays are of {n} routers"
        raise ArrayError(f"{what}: there are {len(parts)} inner routers")
    for i, part in enumerate(parts):
        of_part = {dimension: sizes[dimension] for dimension in SHARED if dimension in sizes}
        restore(part, inside(arrays, f"{prefix}{i}."), of_part, f"{place}{prefix}{i}.")
        sizes |= {dimension: of_part[dimension] for dimension in SHARED if dimension in of_part}
    return parts


def _in_list(name: str, prefix: str) -> bool:
    return re.match(rf"{re.escape(prefix)}\d+\.", name) is not None


def _made_of(owner: Any, kept: Kept) -> Any:
    """`of` of a field of several arrays, called with the router if it is a function."""
    return kept.of if isinstance(kept.of, type | Mapping) else kept.of(owner)
