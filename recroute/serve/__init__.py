"""A fitted router as an HTTP service: `create_app` makes it, `recroute serve` runs it. Needs the extra [serve]."""

from recroute.serve.app import create_app
from recroute.serve.settings import Settings

__all__ = ["Settings", "create_app"]
