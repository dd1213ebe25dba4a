"""Conversations: what a router reads of the messages, and whether the next turn stays with the same LLM.

Routers learn from single prompts, and a short follow-up ("looks good, commit it") says little about which LLM is best.
`recroute serve` and `recroute.litellm` offer the same choices, made here: a `Reading` turns messages in OpenAI's form
into the text to route by, and `Conversations` remembers with which LLM each conversation is.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recroute.data import Prompts
from recroute.errors import DataError
from recroute.routers import Ranking, Router

Messages = Sequence[Mapping[str, Any]]
LAST, FIRST, JOINED = "last", "first", "joined"
MIN_CHARS, JOINED_CHARS, MAX_CHARS = 100, 4000, 100_000
MAX_CONVERSATIONS = 100_000  # about 20 MB
EXPIRY = 3600.0  # seconds; prompt caches of providers live for minutes up to an hour


@dataclass(frozen=True)
class Reading:
    """What the router reads of a conversation.

    - `last`: the last user message that has text.
    - `first`: the first user message that has text.
    - `joined`, `joined:2000`: system messages and the latest turns, as many whole ones as fit in so many characters
      (default 4,000), at most half of them for system messages.

    Only text counts: of a message in parts, the text parts; spaces and line breaks alone are no text. A text that is
    too long is read without its middle. Without any text the result is "", an empty prompt.

    Parameters
    ----------
    kind : {"last", "first", "joined"}
    max_chars : int
        Maximum length of the text.

    Examples
    --------
    >>> turns = [{"role": "user", "content": "Fix it."}, {"role": "assistant", "content": "Done."}]
    >>> Reading().text([*turns, {"role": "user", "content": [{"type": "text", "text": "Commit it."}]}])
    'Commit it.'
    """

    kind: str = LAST
    max_chars: int = MAX_CHARS

    @classmethod
    def of(cls, text: str) -> Reading:
        """The reading that a setting names; DataError if there is none."""
        kind, colon, length = text.partition(":")
        if kind in (LAST, FIRST) and not colon:
            return cls(kind)
        if kind == JOINED and (not colon or (length.isdecimal() and MIN_CHARS <= int(length) <= MAX_CHARS)):
            return cls(kind, int(length) if colon else JOINED_CHARS)
        raise DataError(
            f"conversation {text!r} is none of: last, first, joined, joined:CHARACTERS with {MIN_CHARS} to {MAX_CHARS} "
            "characters"
        )

    def text(self, messages: Messages) -> str:
        """The text to route by."""
        if self.kind == JOINED:
            return self._joined(messages)
        asked = _texts(messages, "user") or [""]
        return _cut(asked[0 if self.kind == FIRST else -1], self.max_chars)

    def _joined(self, messages: Messages) -> str:
        system = _cut("\n\n".join(_texts(messages, "system", "developer")), self.max_chars // 2)
        turns: list[str] = []
        left = self.max_chars - len(system)
        for turn in reversed(_texts(messages, "user", "assistant")):
            if turns and len(turn) + 2 > left:
                break
            turns.append(_cut(turn, left - 2))
            left -= len(turns[-1]) + 2
        return "\n\n".join(filter(None, [system, *reversed(turns)]))


def text_of(message: Mapping[str, Any]) -> str:
    """The text of a message: its string, or its text parts joined by line breaks; "" if there is none but spaces."""
    content = message.get("content")
    if not isinstance(content, str):
        parts = content if isinstance(content, (list, tuple)) else []
        parts = [part.get("text") for part in parts if isinstance(part, Mapping)]
        content = "\n".join(part for part in parts if isinstance(part, str))
    return content.encode("utf8", "replace").decode() if content.strip() else ""


def _texts(messages: Messages, *roles: str) -> list[str]:
    """The texts of the messages of these roles that have any."""
    return [text for message in messages if message.get("role") in roles and (text := text_of(message))]


def _cut(text: str, length: int) -> str:
    """The text, or its start and end if it is longer than this."""
    return text if len(text) <= length else text[: length - length // 2] + text[len(text) - length // 2 :]


@dataclass(frozen=True)
class Turn:
    """Which conversation a request continues.

    Parameters
    ----------
    conversation : str, optional
        Id of the conversation, or a digest of its first turns; None if neither is known.
    is_first : bool
        Whether it opens the conversation. A request with an id is taken for the first if the id is new.
    """

    conversation: str | None
    is_first: bool

    @classmethod
    def of(cls, messages: Messages | None, conversation_id: str | None = None, owner: str = "") -> Turn:
        """The turn of a request; conversations of different owners, such as API keys, are never the same."""
        if conversation_id:
            return cls(_digest(owner, "id", conversation_id), False)
        asked = [i for i, message in enumerate(messages or []) if message.get("role") == "user"]
        if not messages or not asked:
            return cls(None, True)
        first = [f"{message.get('role')}:{message.get('content')!r}" for message in messages[: asked[0] + 1]]
        return cls(_digest(owner, "turns", *first), asked[0] + 1 == len(messages))


def _digest(*parts: str) -> str:
    return hashlib.sha256(repr(parts).encode("utf8", "replace")).hexdigest()[:32]


class Conversations:
    """The LLM that each conversation is with, kept in memory.

    A conversation stays with its LLM, whose prompt cache then serves it, unless the expected score of another LLM is
    higher by more than `margin`. It is forgotten an hour after its last turn, or if 100,000 others came after it.
    Thread-safe; each process has its own.

    Parameters
    ----------
    margin : float
        In units of what the router ranks by: the score, or for a router that weighs cost the score less the weighed
        cost.
    max_size : int
        Conversations to remember.
    expiry : float
        Seconds from the last turn.
    clock : callable
        Seconds now.
    """

    def __init__(
        self,
        margin: float,
        *,
        max_size: int = MAX_CONVERSATIONS,
        expiry: float = EXPIRY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.margin = margin
        self._max_size, self._expiry, self._clock = max_size, expiry, clock
        self._llms: OrderedDict[str, tuple[str, float]] = OrderedDict()  # oldest first
        self._lock = threading.Lock()

    def llm(self, turn: Turn) -> str | None:
        """The LLM of the conversation that this turn continues, if it is known."""
        if turn.conversation is None or turn.is_first:
            return None
        with self._lock:
            llm, since = self._llms.get(turn.conversation, (None, 0.0))
        return llm if self._clock() - since < self._expiry else None

    def keep(self, turn: Turn, llm: str) -> None:
        """Remember the LLM that takes this turn."""
        if turn.conversation is None:
            return
        with self._lock:
            self._llms[turn.conversation] = (llm, self._clock())
            self._llms.move_to_end(turn.conversation)
            oldest = next(iter(self._llms.values()))
            if len(self._llms) > self._max_size or self._clock() - oldest[1] >= self._expiry:
                self._llms.popitem(last=False)

    def rank(self, router: Router, prompts: Prompts, k: int, llms: Sequence[str] | None, turn: Turn) -> Ranking | None:
        """Rank with the conversation's LLM first; None if it is unknown, not allowed, or another gains the margin.

        Parameters
        ----------
        router : Router
        prompts : Prompts
            One prompt.
        k : int
        llms : list of str, optional
            LLMs allowed.
        turn : Turn

        Raises
        ------
        RouterError
            As `Router.rank`.
        """
        llm = self.llm(turn)
        if llm is None or llm not in (router.llm_ids_ if llms is None else llms):
            return None
        ranking, own = router.rank(prompts, k, llms), router.rank(prompts, 1, [llm])
        if ranking.predicted_score[0, 0] - own.predicted_score[0, 0] > self.margin:
            return None
        others = ranking.llm_index[0] != own.llm_index[0, 0]
        index = np.concatenate([own.llm_index[0], ranking.llm_index[0][others]])[None, :k]
        score = np.concatenate([own.predicted_score[0], ranking.predicted_score[0][others]])[None, :k]
        return Ranking(index, score, ranking.llm_ids)

    @property
    def n_conversations(self) -> int:
        """Conversations in memory."""
        return len(self._llms)
