"""A fitted router as an HTTP service: `create_app` makes it, `recroute serve` runs it.

`ServeSettings` is there without the extra [serve]; `create_app` needs it.
"""

from typing import Any

from recroute.serve.settings import ServeSettings

__all__ = ["ServeSettings", "create_app"]


def __getattr__(name: str) -> Any:
    if name != "create_app":
        raise AttributeError(f"module 'recroute.serve' has no attribute {name!r}")
    from recroute.serve.app import create_app

    return create_app
