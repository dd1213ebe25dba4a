"""HTTP service for a fitted router: `create_app` builds the application, `recroute serve` runs it.

`create_app` needs the extra [serve]; `ServeSettings` does not.
"""

from typing import Any

from recroute.serve.settings import ServeSettings

__all__ = ["ServeSettings", "create_app"]


def __getattr__(name: str) -> Any:
    if name != "create_app":
        raise AttributeError(f"module 'recroute.serve' has no attribute {name!r}")
    from recroute.serve.app import create_app

    return create_app
