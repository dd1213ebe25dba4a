"""`FunctionEncoder`: a function of yours, or an object with `encode`, as an encoder."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from recroute.data import Encoder
from recroute.errors import DataError, RouterError

_KNOWN: dict[str, Callable[..., Any]] = {}  # functions that this process has used or registered, by reference


@dataclass(frozen=True)
class FunctionEncoder:
    """Encodes with a function of a list of texts, which gives vectors f32 (b, d).

    A router is saved with a reference to it, `module:name`. Loading imports no module that the folder names, because
    the folder may come from somebody else. The process calls `register_encoder(function)` first, or an installed
    package declares the function under the entry point `recroute.encoders`.

    Parameters
    ----------
    function : callable
    """

    kind: ClassVar[str] = "function"

    function: Callable[..., Any]

    @property
    def name(self) -> str:
        made_of = getattr(self.function, "__qualname__", type(self.function).__name__)
        return f"function:{self.reference or f'{made_of}@{id(self.function):x}'}"

    @property
    def reference(self) -> str | None:
        """Where another process finds the function, `module:name`; None if it is not there by name."""
        module, name = (getattr(self.function, key, None) for key in ("__module__", "__qualname__"))
        if not module or not name or module == "__main__":
            return None
        found: Any = sys.modules.get(module)
        for part in name.split("."):
            found = getattr(found, part, None)
        return f"{module}:{name}" if found is self.function else None

    def encode(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        vectors: NDArray[np.float32] = self.function(list(prompts))
        return vectors

    def facts(self) -> dict[str, Any]:
        """What `router.json` says of it besides kind and name."""
        return {"source": self.reference}

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any], folder: Path) -> FunctionEncoder:
        """The encoder that `facts` describes; RouterError if this process does not know its function."""
        reference = facts["source"]
        if reference in _KNOWN:
            return cls(_KNOWN[reference])
        for declared in entry_points(group="recroute.encoders"):
            if declared.value == reference:
                return cls(declared.load())
        place = reference.replace(":", ".")
        raise RouterError(
            f"{folder.parent} was fitted with the function {place} as its encoder; call "
            f"recroute.register_encoder({place}) first, or install a package that declares it (entry point "
            "recroute.encoders)"
        )


def of_function(function: Callable[..., Any]) -> FunctionEncoder:
    """The function as an encoder, which this process can load by reference from now on."""
    encoder = FunctionEncoder(function)
    if (reference := encoder.reference) is not None:
        _KNOWN[reference] = function
    return encoder


def as_encoder(given: Any) -> Encoder:
    """An encoder as it is, or one made of a function or of an object with `encode`; DataError for anything else.

    >>> as_encoder(lambda prompts: [[len(prompt)] for prompt in prompts]).encode(["Hi."])
    [[3]]
    """
    if not isinstance(given, type):
        if callable(getattr(given, "encode", None)):
            return given if isinstance(getattr(given, "name", None), str) else of_function(given.encode)
        if callable(given):
            return of_function(given)
    raise DataError(
        f"the encoder is {given!r:.60}; give a name such as tfidf, a function of a list of texts, or an object with "
        "encode(prompts)"
    )
