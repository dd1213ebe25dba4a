"""A bridge by name."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from recroute.errors import UnknownNameError
from recroute.util.numeric import Array

BRIDGES = ("ridge", "kernel", "neighbors", "mlp")


class Bridge(Protocol):
    """A fitted map from prompt vectors to instance factors. A bridge is a frozen dataclass of arrays only."""

    def __call__(self, X: NDArray[np.floating]) -> Array:
        """Instance factors f64 (b, k) of vectors float (b, d)."""
        ...


def fit_bridge(kind: str, X: NDArray[np.floating], Y: NDArray[np.floating], *, reg: float | None, seed: int) -> Bridge:
    """Fit one of `BRIDGES`.

    Parameters
    ----------
    kind : {"ridge", "kernel", "neighbors", "mlp"}
    X : float (n, d)
        Prompt vectors.
    Y : float (n, k)
        Instance factors, with columns on the scale of the scores.
    reg : float, optional
        Penalty; None lets the bridge choose it by leave-one-out or on held-out rows.
    seed : int

    Raises
    ------
    UnknownNameError
        If there is no such bridge.
    """
    return bridge_class(kind).fit(X, Y, reg, seed)


def bridge_class(kind: str) -> Any:
    """The class of a bridge, whose fields are its arrays; UnknownNameError if there is none."""
    from recroute.bridges.kernel import KernelBridge
    from recroute.bridges.mlp import MLPBridge
    from recroute.bridges.neighbors import NeighborsBridge
    from recroute.bridges.ridge import RidgeBridge

    classes = {"ridge": RidgeBridge, "kernel": KernelBridge, "neighbors": NeighborsBridge, "mlp": MLPBridge}
    if kind not in classes:
        raise UnknownNameError("bridge", kind, BRIDGES)
    return classes[kind]
