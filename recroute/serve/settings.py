"""Settings and limits of the service."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from recroute.conversation import Reading
from recroute.errors import RecrouteError, argument
from recroute.util.settings import Settings, setting

LEARN, TALK, LIMITS = "Feedback and exploration", "Conversations", "Limits"


def _n_cores() -> int:
    return os.cpu_count() or 1


@dataclass(frozen=True, kw_only=True)
class ServeSettings(Settings):
    """Settings of a service that answers requests with a fitted router; each field's help describes it.

    Exploration and logged prompts need a feedback folder, which must not be inside the router's folder.

    Raises
    ------
    RecrouteError
        For a value outside its range, an empty token, exploration or logged prompts without a feedback folder, or a
        feedback folder in the router's folder.

    Examples
    --------
    >>> ServeSettings(router_dir=Path("my_router"), feedback_dir=Path("feedback"), explore="epsilon:0.05").timeout
    10.0
    """

    router_dir: Path = setting(help="Folder of a fitted router; when it changes, the new router is loaded.")
    feedback_dir: Path | None = setting(
        None,
        option="--feedback",
        help="Folder for decisions and feedback (default: neither is kept).",
        panel=LEARN,
    )
    explore: str = setting(
        "none",
        help="none; epsilon:0.05, a share of uniform choices; thompson or thompson:256, Thompson sampling with so many "
        "draws of the scores. Propensities are kept with the feedback.",
        panel=LEARN,
    )
    seed: int | None = setting(
        None,
        low=0,
        high=2**31 - 1,
        help="Random seed for exploration (default: random, printed at start-up).",
        panel=LEARN,
    )
    log_prompts: bool = setting(False, help="Keep the text of prompts with decisions and feedback.", panel=LEARN)
    rotate: str = setting(
        "none",
        help="When decisions, records and preferences go on in a new file: none; a size such as 100MB; an age such as "
        "1d or 12h.",
        panel=LEARN,
    )
    reference: str | None = setting(
        None, help="LLM to compare predicted costs with (default: the one with the highest mean score on train)."
    )
    root_path: str = setting(
        "", help="Prefix of the paths behind a proxy, such as /router, whether the proxy removes it or not."
    )
    conversation: str = setting(
        "last",
        help="What the router reads of messages: last or first, the user's last or first message; joined or "
        "joined:2000, the system prompt and the latest turns within so many characters.",
        panel=TALK,
    )
    stay: float | None = setting(
        None,
        low=0,
        help="Stay with a conversation's LLM unless another's expected score is higher by more than this (default: "
        "each turn is routed by itself).",
        panel=TALK,
    )
    token: str | None = setting(
        None, option="", repr=False, help="Token that requests must carry as `Authorization: Bearer TOKEN`."
    )
    open_metrics: bool = setting(False, help="GET /metrics needs no token.")
    access_log: str = setting(
        "none",
        choices=("none", "text", "json"),
        help="Log each request, without its prompts: none, text or json (the whole log is then JSON).",
    )
    max_body: int = setting(4_000_000, low=1, help="Maximum bytes of a request.", panel=LIMITS)
    max_prompts: int = setting(256, low=1, help="Maximum prompts of a request.", panel=LIMITS)
    max_chars: int = setting(100_000, low=1, help="Maximum characters of a prompt.", panel=LIMITS)
    timeout: float = setting(10.0, above=0, help="Time limit of a request in seconds.", panel=LIMITS)
    reload_timeout: float = setting(300.0, above=0, option="", help="Time limit of a request to /reload in seconds.")
    threads: int = setting(
        default_factory=_n_cores, low=1, help="Threads that route (default: one per core).", panel=LIMITS
    )
    max_waiting: int = setting(
        1024, low=1, option="", help="Maximum requests that wait for a thread, and feedback that waits for the disk."
    )
    poll: float = setting(2.0, low=0, help="Seconds between checks of the router's folder; 0: only POST /reload loads.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not re.fullmatch(r"(/[\w.~-]+)*", self.root_path, re.ASCII):
            raise RecrouteError(f"{argument('root_path', self.root_path)} is not a prefix such as /router")
        if self.token is not None and not (self.token.isascii() and self.token.strip()):
            raise RecrouteError("the token is empty or not ASCII; make one with: openssl rand -hex 32")
        Reading.of(self.conversation)  # raises if it is unknown
        folder = argument("feedback_dir", option="feedback")
        if self.explore != "none" and self.feedback_dir is None:
            raise RecrouteError(f"exploration needs a feedback folder to keep its propensities; add {folder}")
        if self.log_prompts and self.feedback_dir is None:
            raise RecrouteError(f"prompts are kept in the feedback folder only; add {folder}")
        if self.feedback_dir is not None and self.feedback_dir.resolve().is_relative_to(self.router_dir.resolve()):
            raise RecrouteError(
                f"the feedback folder {self.feedback_dir} is inside the router's folder and would be deleted when a "
                "new router replaces it; name a folder outside"
            )
