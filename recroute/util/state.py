"""Fields that hold arrays: by their declaration they are saved, checked when read, and kept in step with the LLMs.

A field holds one array; or several: a dataclass of arrays, a dict of arrays, an object with `state`, `state_rules` and
`of_state`; or a list of routers. `fitted` declares a field of a router, `array` and `several` those of a dataclass.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recroute.util.arrays import ArrayError, ArrayRule, Arrays, check_arrays, inside

KEPT = "kept"  # in the metadata of a field
SHARED = ("n_llms", "n_prompts")  # dimensions that a router has in common with its parts
EVERY_FOLDER = object()


@dataclass(frozen=True)
class ListOf:
    """A list of routers; `blank` makes them, not fitted, for the router that holds them."""

    blank: Callable[[Any], list[Any]]


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What a field holds, see `fitted`: one array, of which there is a rule, or several."""

    rule: ArrayRule | None = None
    of: Any = None
    prefix: str | None = None
    older: Any = EVERY_FOLDER
    for_unseen: bool = False
    follows: Callable[[Any], Any] | None = None

    @property
    def needed(self) -> bool:
        """Whether every folder has it."""
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
    """Declare what `_fit` sets: `fitted("n_llms", "n_factors")`. It is no parameter of the constructor.

    From the declaration follow saving, checking at load, and what becomes of the field when LLMs are added or removed.

    Parameters
    ----------
    *shape : str
        Dimensions of the array, see `recroute.util.arrays`. Usual names are `n_llms`, `width` (of the vectors that the
        router reads) and `n_prompts` (training prompts with a record). Without them any array passes.
    of : type, mapping or callable, optional
        For several arrays: a dataclass of fields made by `array`; a class with `state`, `state_rules` and `of_state`;
        for a dict of arrays their rules by name; a function of the router that gives one of these; or `ListOf`. An
        object may have `take_llms(positions)` and `grown(new)`, which are called when LLMs are removed or added.
    prefix : str, optional
        Of their names in the folder; default the field's name and a dot.
    saved : bool
        Whether it goes into the folder at all.
    older : callable or None, optional
        Folders of older versions may lack it; a function of the router then gives it, None leaves it unset.
    for_unseen : bool
        Only needed to take in unseen LLMs; a router of an older folder that lacks it takes none.
    follows : callable, optional
        Gives it anew from the router's other fields once LLMs were added or removed.
    **limits
        Of `ArrayRule`: kind, range, whether it may hold NaN or infinity; `per_llm` where there is no shape.
    """
    found: dict[str, Any] = {}
    if saved:
        older = None if for_unseen else older
        needed = older is EVERY_FOLDER
        kind = {} if shape else {"kind": "any"}
        rule = None if of is not None else ArrayRule(shape=shape or None, needed=needed, **kind | limits)
        found[KEPT] = Kept(rule=rule, of=of, prefix=prefix, older=older, for_unseen=for_unseen, follows=follows)
    return field(init=False, repr=False, compare=False, metadata=found)


def array(*shape: str, default: Any = MISSING, **limits: Any) -> Any:
    """A field of a dataclass that holds an array of that shape; `limits` are those of `ArrayRule`."""
    return field(default=default, metadata={KEPT: Kept(rule=ArrayRule(shape=shape, **limits))})


def several(of: Any, prefix: str | None = None) -> Any:
    """A field of a dataclass that holds several arrays, see `fitted`."""
    return field(metadata={KEPT: Kept(of=of, prefix=prefix)})


def kept_fields(owner: Any) -> Iterator[tuple[str, Kept, str]]:
    """Name, declaration and prefix of each field, of an object or its class, that goes into a folder."""
    for f in fields(owner):
        if (kept := f.metadata.get(KEPT)) is not None:
            yield f.name, kept, f.name.rstrip("_") + "." if kept.prefix is None else kept.prefix


def arrays_of(owner: Any) -> dict[str, NDArray[Any]]:
    """All arrays of an object, by the names they are saved under."""
    if isinstance(owner, dict):
        return owner
    if hasattr(owner, "state"):
        of_state: dict[str, NDArray[Any]] = owner.state()
        return of_state
    found: dict[str, NDArray[Any]] = {}
    for name, kept, prefix in kept_fields(owner):
        value = getattr(owner, name) if kept.needed else getattr(owner, name, None)
        if value is None:
            continue
        if kept.rule is not None:
            found[name] = np.asarray(value)
            continue
        inner = {f"{i}.": part for i, part in enumerate(value)} if isinstance(value, list) else {"": value}
        found |= {f"{prefix}{at}{key}": each for at, part in inner.items() for key, each in arrays_of(part).items()}
    return found


def rules_of(owner: Any, names: Collection[str] = ()) -> dict[str, ArrayRule]:
    """What each array of an object, or of a class, has to be; `names` are those that are there. Without lists."""
    if isinstance(owner, Mapping):
        return dict(owner)
    if hasattr(owner, "state_rules"):
        of_state: dict[str, ArrayRule] = owner.state_rules(names)
        return of_state
    found = {}
    for name, kept, prefix in kept_fields(owner):
        if kept.rule is not None:
            found[name] = kept.rule
        elif not isinstance(kept.of, ListOf):
            there = [key.removeprefix(prefix) for key in names if key.startswith(prefix)]
            if not kept.needed and not there:
                continue
            found |= {prefix + key: rule for key, rule in rules_of(_made_of(owner, kept), there).items()}
    return found


def made(of: Any, arrays: Arrays) -> Any:
    """What `arrays_of` took apart, of a class or a mapping of rules; the arrays have been checked."""
    if isinstance(of, Mapping):
        return {name: arrays[name] for name in of if name in arrays}
    if hasattr(of, "of_state"):
        return of.of_state(arrays)
    found = {}
    for name, kept, prefix in kept_fields(of):
        if kept.rule is None:
            found[name] = made(kept.of, inside(arrays, prefix))
        elif name in arrays:
            found[name] = arrays[name][()]  # a single number as one
    return of(**found)


def restore(router: Any, arrays: Arrays, sizes: dict[str, int], place: str = "") -> None:
    """Check the arrays of a folder and set the fields of a router that is not fitted; nothing is used unchecked.

    Parameters
    ----------
    router : Router
        With `known_sizes()`, dimensions that it knows beforehand, and `check_fitted(sizes)`, which raises RouterError
        for what shapes and ranges cannot say.
    arrays : mapping of str to array
        As `arrays_of` gave them.
    sizes : dict of str to int
        Dimensions that are known; the others are added.
    place : str
        Before the names of the arrays in messages.

    Raises
    ------
    ArrayError
        If an array is missing, is not what was declared, or belongs to nothing.
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
        what = f"array {place}{foreign[0]} does not belong there" if foreign else f"arrays are of {n} routers"
        raise ArrayError(f"{what}: there are {len(parts)} routers inside")
    for i, part in enumerate(parts):
        of_part = {dimension: sizes[dimension] for dimension in SHARED if dimension in sizes}
        restore(part, inside(arrays, f"{prefix}{i}."), of_part, f"{place}{prefix}{i}.")
        sizes |= {dimension: of_part[dimension] for dimension in SHARED if dimension in of_part}
    return parts


def _in_list(name: str, prefix: str) -> bool:
    return re.match(rf"{re.escape(prefix)}\d+\.", name) is not None


def _made_of(owner: Any, kept: Kept) -> Any:
    """What a field of several arrays is made of, in this router."""
    return kept.of if isinstance(kept.of, type | Mapping) else kept.of(owner)
