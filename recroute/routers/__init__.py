"""One router per file, what they share, their registry and their folder on disk."""

from recroute.routers.base import Instances, Ranking, Router, setting
from recroute.routers.registry import (
    as_router,
    as_routers,
    load_router,
    make_router,
    register_router,
    router_class,
    router_names,
)

__all__ = [
    "Instances",
    "Ranking",
    "Router",
    "as_router",
    "as_routers",
    "load_router",
    "make_router",
    "register_router",
    "router_class",
    "router_names",
    "setting",
]
