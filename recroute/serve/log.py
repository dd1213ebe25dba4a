"""The log: lines of text or JSON, one for each request if asked for."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from urllib.parse import quote

from starlette.types import Scope

access = logging.getLogger("recroute.access")
MAX_PATH = 200  # characters of a path that is logged


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time`, `level`, `message` and the `fields` of the record."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": time, "level": record.levelname, "message": record.getMessage()}
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure(access_log: str, quiet: bool) -> None:
    """Log to standard error; `quiet` keeps errors and requests."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        JsonFormatter() if access_log == "json" else logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("recroute.serve").setLevel(logging.ERROR if quiet else logging.INFO)
    access.setLevel(logging.INFO)


def log_request(scope: Scope, path: str, status: int, seconds: float) -> None:
    """Log a request: never its body or query, which may hold prompts."""
    client = scope["client"][0] if scope.get("client") else "-"
    method, shown, ms = scope["method"][:20], quote(path)[:MAX_PATH], round(1e3 * seconds, 2)
    fields = {"client": client, "method": method, "path": shown, "status": status, "ms": ms}
    access.info("%s %s %s %d %g ms", *fields.values(), extra={"fields": fields})
