"""Registry of the encoders that can be saved with a router: built-in ones and those of users.

A built-in encoder is a frozen dataclass with a `kind`, a `name` and `encode`, and a line in `REGISTRY`. The arrays that
it declares with `recroute.util.state.array` are saved. An encoder that needs more than arrays defines `facts`,
`copy_to` and `of_facts`.
"""

from __future__ import annotations

from inspect import isfunction
from typing import Any, TypeVar

from recroute.data import Encoder
from recroute.data.encoding import JointEncoder
from recroute.encoders.function import FunctionEncoder, of_function
from recroute.errors import RouterError
from recroute.util.registry import Registry

REGISTRY = Registry(
    "encoder",
    "recroute.encoders",
    {
        "tfidf": "recroute.encoders.tfidf:TfidfEncoder",
        "surface": "recroute.encoders.surface:SurfaceEncoder",
        "precomputed": "recroute.data.encoding:Precomputed",
        "sentence": "recroute.encoders.sentence:SentenceEncoder",
        "function": "recroute.encoders.function:FunctionEncoder",
    },
)
NEEDED = ("name", "encode", "state", "from_state")
C = TypeVar("C", bound=Any)


def register_encoder(cls: C) -> C:
    """Register your own encoder under its `kind`, so that routers fitted with it can be saved and loaded.

    The registration holds for the current process; usable as a class decorator. A package that ships encoders should
    declare them under the entry point `recroute.encoders` instead, which every process sees.

    Parameters
    ----------
    cls : class or function
        A function takes a list of texts and returns vectors f32 (b, d). It must be at the top level of a module,
        because routers are saved with a reference to it. A class needs `kind`, a class attribute that is a Python
        identifier; `name`, a string (equal names mean equal vectors); `encode(prompts)`, which returns f32 (b, d);
        `state()`, which returns a dict of plain arrays; and a class method `from_state(arrays)`, which restores the
        encoder.

    Returns
    -------
    type
        `cls`, unchanged.

    Raises
    ------
    RouterError
        If one of these is missing, or recroute or an installed package already uses the kind.

    Examples
    --------
    >>> import numpy as np
    >>> @register_encoder
    ... class Lengths:
    ...     kind = name = "lengths"
    ...     def encode(self, prompts):
    ...         return np.array([[len(prompt)] for prompt in prompts], dtype=np.float32)
    ...     def state(self):
    ...         return {}
    ...     @classmethod
    ...     def from_state(cls, arrays):
    ...         return cls()
    """
    if isfunction(cls):
        _check_reference(of_function(cls))
        return cls
    kind = getattr(cls, "kind", None)
    if not (isinstance(kind, str) and kind.isidentifier()):
        raise RouterError(f'{cls!r:.80} has the kind {kind!r:.40}; give the class a kind such as "my_encoder"')
    if lacking := [name for name in NEEDED if not hasattr(cls, name)]:
        raise RouterError(f"encoder {kind!r} lacks {', '.join(lacking)}; see help(recroute.register_encoder)")
    if kind in REGISTRY.places or kind == "joint":
        raise RouterError(f"{kind!r} is the kind of another encoder; give {cls.__name__} a different kind")
    REGISTRY.add(kind, cls)
    return cls


def kind_of(encoder: Any) -> str | None:
    """Kind under which the encoder's class is registered; None if it is not."""
    kind = getattr(type(encoder), "kind", None)
    known = isinstance(kind, str) and kind in REGISTRY.names() and REGISTRY.get(kind) is type(encoder)
    return kind if known else None


def is_savable(encoder: Encoder) -> bool:
    """Whether the encoder can be saved with a router."""
    if isinstance(encoder, JointEncoder):
        return all(is_savable(part) for part in encoder.parts)
    if isinstance(encoder, FunctionEncoder):
        return encoder.reference is not None
    return kind_of(encoder) is not None


def check_savable(encoder: Encoder) -> None:
    """Raise RouterError if the encoder cannot be saved with a router."""
    parts = encoder.parts if isinstance(encoder, JointEncoder) else (encoder,)
    for part in parts:
        if isinstance(part, FunctionEncoder):
            _check_reference(part)
        elif not is_savable(part):
            name = type(part).__name__
            raise RouterError(
                f"the encoder {part.name!r} ({name}) cannot be saved with a router; give {name} a kind, state() and "
                "from_state(arrays) and register it (see help(recroute.register_encoder)), or fit with encoder='tfidf'"
            )


def _check_reference(encoder: FunctionEncoder) -> None:
    if encoder.reference is None:
        raise RouterError(
            f"the encoder {encoder.name!r} cannot be saved with a router, because no other process finds the function "
            "by name; define it at the top of a module that can be imported, or fit with encoder='tfidf'"
        )
