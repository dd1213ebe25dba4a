"""What a person chooses about the service, and its limits."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from recroute.errors import RecrouteError

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a router is served.

    Parameters
    ----------
    router_dir : Path
        Folder of a fitted router; when it changes, the service goes on with the new one.
    feedback_dir : Path, optional
        Where decisions and feedback are kept; None for neither.
    explore : str
        "none", "epsilon:0.05" or "thompson", perhaps with a number of draws: "thompson:256".
    seed : int, optional
        Of the exploration; None draws one from the system.
    token : str, optional
        What a request has to carry as `Authorization: Bearer TOKEN`.
    log_prompts : bool
        Whether the feedback folder holds the prompts' texts.
    max_body : int
        Bytes of a request.
    max_prompts, max_chars : int
        Prompts of a request, and characters of a prompt.
    timeout, reload_timeout : float
        Seconds until a request is given up, and one to /reload.
    threads : int
        Threads that route; None for one per core.
    max_waiting : int
        Requests that may wait for a thread, and feedback that may wait for the disk; beyond that they are refused.
    poll : float
        Seconds between looks at the router's folder; 0 for none.

    Raises
    ------
    RecrouteError
        If a limit is not positive, the token is empty, exploration is on and nothing would keep its propensities, or
        the feedback is in the router's folder.
    """

    router_dir: Path
    feedback_dir: Path | None = None
    explore: str = "none"
    seed: int | None = None
    token: str | None = field(default=None, repr=False)
    log_prompts: bool = False
    max_body: int = 4_000_000
    max_prompts: int = 256
    max_chars: int = 100_000
    timeout: float = 10.0
    reload_timeout: float = 300.0
    threads: int = field(default_factory=lambda: os.cpu_count() or 1)
    max_waiting: int = 1024
    poll: float = 2.0

    def __post_init__(self) -> None:
        for name in ("max_body", "max_prompts", "max_chars", "timeout", "reload_timeout", "threads", "max_waiting"):
            if not getattr(self, name) > 0:
                raise RecrouteError(f"{name}={getattr(self, name)!r} has to be more than 0")
        if not self.poll >= 0:
            raise RecrouteError(f"poll={self.poll!r} has to be at least 0 seconds; 0 does not look at the folder")
        if self.token is not None and not (self.token.isascii() and self.token.strip()):
            raise RecrouteError("the token is empty or not ASCII; make one with: openssl rand -hex 32")
        if self.explore != "none" and self.feedback_dir is None:
            raise RecrouteError("exploration needs a feedback folder, where the propensities are kept; add --feedback")
        if self.log_prompts and self.feedback_dir is None:
            raise RecrouteError("prompts are logged in the feedback folder only; add --feedback")
        if self.feedback_dir is not None and self.feedback_dir.resolve().is_relative_to(self.router_dir.resolve()):
            raise RecrouteError(
                f"the feedback folder {self.feedback_dir} is in the router's folder, and would go with it when a new "
                "router takes its place; name one outside"
            )
