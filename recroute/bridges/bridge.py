"""The interface of bridges, and fitting one by name."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from recroute.errors import UnknownNameError
from recroute.util.numeric import Array

BRIDGES = ("ridge", "kernel", "neighbors", "mlp")


class Bridge(Protocol):
    """A fitted map from prompt vectors to instance factors; a frozen dataclass whose fields are arrays."""

    def __call__(self, X: NDArray[np.floating]) -> Array:
        """Instance factors f64 (b, k) of vectors float (b, d)."""
        ...


def fit_bridge(kind: str, X: NDArray[np.floating], Y: NDArray[np.floating], *, reg: float | None, seed: int) -> Bridge:
    """Fit a bridge.

    Parameters
    ----------
    kind : {"ridge", "kernel", "neighbors", "mlp"}
    X : float (n, d)
        Prompt vectors.
    Y : float (n, k)
        Instance factors, with columns on the scale of the scores.
    reg : float, optional
        Penalty; by default the bridge chooses it by leave-one-out or on held-out rows.
    seed : int

    Raises
    ------
    UnknownNameError
        If there is no such bridge.
    """
    return bridge_class(kind).fit(X, Y, reg, seed)


def bridge_class(kind: str) -> Any:
    """Class of a bridge; UnknownNameError if there is none of this name."""
    from recroute.bridges.kernel import KernelBridge
    from recroute.bridges.mlp import MLPBridge
    from recroute.bridges.neighbors import NeighborsBridge
    from recroute.bridges.ridge import RidgeBridge

    classes = {"ridge": RidgeBridge, "kernel": KernelBridge, "neighbors": NeighborsBridge, "mlp": MLPBridge}
    if kind not in classes:
        raise UnknownNameError("bridge", kind, BRIDGES)
    return classes[kind]
