"""Routers, one per file, with their shared base classes, registry and on-disk format."""

from recroute.routers.base import Instances, Prompts, Ranking, Router, fitted, setting
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
    "Prompts",
    "Ranking",
    "Router",
    "as_router",
    "as_routers",
    "fitted",
    "load_router",
    "make_router",
    "register_router",
    "router_class",
    "router_names",
    "setting",
]
