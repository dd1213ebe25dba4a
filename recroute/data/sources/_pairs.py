"""Tables of battles: two LLMs and which answer was preferred, as Chatbot Arena publishes them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recroute.data.content import Content
from recroute.data.ids import IdMap
from recroute.data.means import leaderboard
from recroute.data.preferences import PAIR_COLUMNS, Preferences, pair_table
from recroute.data.schema import listed, refuse_first
from recroute.data.sources._entities import INSTANCE_COLUMNS, LongTable, instance_table
from recroute.data.sources._pickle import clean_text
from recroute.data.sources.routerbench import turns
from recroute.data.tables import reading_table
from recroute.errors import DataError, argument

ID_COLUMNS = ("instance_id", "question_id", "id")  # the first that is there
ONE_HOT = ("winner_model_a", "winner_model_b", "winner_tie")
BOTH_BAD = ("tie (bothbad)", "both_bad", "bothbad")
WINNERS = {"model_a": 1.0, "a": 1.0, "model_b": 0.0, "b": 0.0, **dict.fromkeys(BOTH_BAD, 0.5)}
CONVERSATION = "conversation_a"


def pair_content(frame: pl.LazyFrame, path: Path) -> Content:
    """The content of a table of battles; ids in alphabetical order.

    The two LLMs stand in `model_a, model_b` (or ours, `llm_a, llm_b`), the outcome in `winner` (or `outcome`) or in
    three columns `winner_model_a, winner_model_b, winner_tie`; the prompt in `prompt` or in the user's turns of
    `conversation_a`. Without a column of ids equal prompts are one instance, and without prompts each battle is.

    Raises
    ------
    DataError
        If these columns are not there, or a value is not what it has to be.
    """
    names = frame.collect_schema().names()
    wanted = [*ID_COLUMNS, *INSTANCE_COLUMNS, CONVERSATION, "model_a", "model_b", "winner", *ONE_HOT, *PAIR_COLUMNS]
    plain = [name for name in dict.fromkeys(wanted) if name in names and name not in ("prompt", CONVERSATION)]
    with reading_table(path):
        table = frame.select(name for name in dict.fromkeys(wanted) if name in names).collect(engine="streaming")
        table = table.with_columns(pl.col(plain).cast(pl.String))
    ours = {"model_a": "llm_a", "model_b": "llm_b", "winner": "outcome"}
    table = table.rename({theirs: our for theirs, our in ours.items() if theirs in names and our not in names})
    if not {"llm_a", "llm_b"} <= set(table.columns) or not ("outcome" in table.columns or {*ONE_HOT} <= {*names}):
        raise DataError(
            f"{path.name} has no battles: they need model_a, model_b and either winner or {', '.join(ONE_HOT)} "
            f"({listed(names)}); map with {argument('columns', 'llm_a=NAME,llm_b=NAME,outcome=NAME')}"
        )
    if table.is_empty():
        raise DataError(f"{path.name} has no rows; one row per battle is needed")
    given, share = _outcomes(table, path.name)
    prompts = _prompts(table, path.name)
    notes: list[str] = []
    ids, instances = _instances(table, _ids(table, prompts, path.name), prompts, path, notes)
    battles = table.select("llm_a", "llm_b").with_columns(ids, share)
    battles = pair_table(battles, path.name)
    notes += _notes(battles, given)
    return Content(
        instances=instances,
        llms=pl.concat([battles["llm_a"], battles["llm_b"].rename("llm_a")]).unique().sort().to_frame("llm_id"),
        blocks=(),
        n_rows=0,
        preferences=battles,
        notes=notes,
    )


def _outcomes(table: pl.DataFrame, source: str) -> tuple[pl.Series, pl.Series]:
    """What is written in `winner`, as text, and the share of the first that it means or what else it is."""
    if "outcome" in table.columns:
        given = table["outcome"].str.strip_chars()
        share = given.replace_strict(WINNERS, default=None, return_dtype=pl.Float64).cast(pl.String)
        return given, share.fill_null(given).rename("outcome")
    flags = [table[name].replace({"true": "1", "false": "0"}).cast(pl.Float64, strict=False) for name in ONE_HOT]
    in_order = pl.Series([sorted(row) == [0, 0, 1] for row in zip(*(f.fill_null(-1) for f in flags), strict=True)])
    refuse_first(
        ~in_order,
        lambda row: (
            f"{', '.join(ONE_HOT)} are {', '.join(str(table[name][row]) for name in ONE_HOT)} in {source}, "
            f"row {row}: one of them has to be 1 and the others 0; fix that row"
        ),
    )
    share = (flags[0] + flags[2] / 2).rename("outcome")
    return share.cast(pl.String), share


def _prompts(table: pl.DataFrame, source: str) -> pl.Series | None:
    if "prompt" in table.columns:
        texts = [_text(value) for value in table["prompt"]]
    elif CONVERSATION in table.columns:
        texts = [_user_turns(value, source, row) for row, value in enumerate(table[CONVERSATION])]
    else:
        return None
    return pl.Series("prompt", texts, dtype=pl.String)


def _text(value: Any) -> str | None:
    """A prompt as text; a list of turns, also one written as JSON, is joined by empty lines."""
    if value is None:
        return None
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return turns(value)  # or as Python writes it
        value = found if isinstance(found, list) and all(isinstance(turn, str | None) for turn in found) else value
    parts = value.to_list() if isinstance(value, pl.Series) else value
    if not isinstance(parts, list):
        parts = [value]
    return clean_text("\n\n".join(str(part) for part in parts if part is not None))


def _user_turns(value: Any, source: str, row: int) -> str:
    """What the user says in a conversation, a list of `{role, content}`, joined by empty lines."""
    try:
        found = json.loads(value) if isinstance(value, str) else value
        said = [turn["content"] for turn in found if turn["role"] == "user"]
        # a content is a text, or a list of parts of which some are text
        parts = [[part.get("text") for part in c] if not isinstance(c, str) else [c] for c in said]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise DataError(
            f"{CONVERSATION} in {source}, row {row} is not a list of turns with role and content; add a column prompt"
        ) from None
    return clean_text("\n\n".join(str(text) for turn in parts for text in turn if text))


def _ids(table: pl.DataFrame, prompts: pl.Series | None, source: str) -> pl.Series:
    """The instance of each battle: by its id, else by a hash of its prompt; one without either is its own."""
    name = next((name for name in ID_COLUMNS if name in table.columns), None)
    if name is not None:
        ids = table[name]
        refuse_first(ids.is_null(), lambda row: f"{name} is missing in {source}, row {row}; fill it in")
        return ids.rename("instance_id")
    texts: Sequence[str | None] = [None] * table.height if prompts is None else prompts.to_list()
    found = [_hash(text) if text and text.strip() else f"battle-{row}" for row, text in enumerate(texts)]
    return pl.Series("instance_id", found, dtype=pl.String)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf8", "surrogatepass")).hexdigest()[:16]


def _instances(
    table: pl.DataFrame, ids: pl.Series, prompts: pl.Series | None, path: Path, notes: list[str]
) -> tuple[pl.Series, pl.DataFrame]:
    """The instance of each battle, and a row for each instance."""
    kept = [table[name] for name in INSTANCE_COLUMNS if name in table.columns and name != "prompt"]
    rows = pl.DataFrame([ids, *kept, *([] if prompts is None else [prompts])])
    (told,), instances = instance_table([LongTable(path, rows.lazy())], notes)
    return told.frame.collect()["instance_id"], instances.sort("instance_id")


def _notes(battles: pl.DataFrame, given: pl.Series) -> list[str]:
    """Counts of ties, and whether the answer shown first was preferred for its place."""
    instances = IdMap(tuple(battles["instance_id"].unique()), "instance")
    llms = IdMap(tuple({*battles["llm_a"], *battles["llm_b"]}), "llm")
    fought = Preferences.from_frame(battles, instances, llms, "battles")
    n_ties, n_bad = int(np.count_nonzero(fought.outcome == 0.5)), int(given.is_in(list(BOTH_BAD)).sum())
    bad = f", {n_bad:,} of them because both were bad" if n_bad else ""
    shown = "the first won, or lost, every decided battle: the columns are taken for winner and loser"
    if fought.order_tells:
        board = leaderboard(fought, len(llms))
        shown = (
            f"being shown first adds {board.first_shown:+.3f} to the log odds (standard error "
            f"{board.first_shown_error:.3f}); bradley_terry takes that out"
        )
    return [f"{n_ties:,} of {len(fought):,} battles are ties{bad}: half a win for both", shown]
