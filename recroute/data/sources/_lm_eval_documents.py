"""Documents of lm-evaluation-harness: which rows of different runs are one instance."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from recroute.data.sources._lm_eval_prompts import LETTER, prompt_of, question_texts
from recroute.data.sources._pickle import clean_text
from recroute.data.sources._scores import Key
from recroute.errors import DataError

WORD = re.compile(r"\w+")
SHORT = 16  # digits of a hash in an instance's id
ALIKE = 0.5  # share of the words that two prompts of one document have in common


@dataclass(eq=False)
class Document:
    """One text of a document.

    Parameters
    ----------
    hash : str
        As it was logged (`recorded`), or of the document, or of its doc_id where there is nothing else.
    prompts : mapping
        By doc_id, where a run has the text under several; the first one stands for all others.
    words : mapping
        By field, a digest of its words in any order and their number.
    runs : set of int
        Positions of the runs that have it.
    """

    hash: str
    where: str
    recorded: bool
    prompts: dict[str | None, str | None]
    words: dict[str, tuple[int, int]]
    runs: set[int] = field(default_factory=set)

    def prompt(self, doc_id: str | None) -> str | None:
        """Its prompt, or the one it has under this doc_id."""
        return self.prompts.get(doc_id, next(iter(self.prompts.values())))

    def asks_as(self, other: Document) -> bool:
        """Whether the questions differ at most in the order of words, and in fields that only one document has."""
        both = self.words.keys() & other.words.keys()
        longest = {max(words, key=lambda key: words[key][1]) for words in (self.words, other.words) if words}
        if self.words.keys() == other.words.keys():
            n_words = sum(n for _, n in self.words.values())
            return n_words > 0 and _all_words(self.words) == _all_words(other.words)
        return bool(longest) and longest <= both and all(self.words[key] == other.words[key] for key in both)


class Documents:
    """The documents of a task, gathered row by row; then the instance of each.

    A document is known by its hash. Different hashes under one doc_id are one instance if the question is the same
    (options that are shuffled on every run), one hash under several doc_ids of a run is several instances (the task
    has the document twice). A row without a hash is found by what its document says, else by its doc_id.
    """

    def __init__(self, task: str) -> None:
        self.task = task
        self.by_hash: dict[str, Document] = {}
        self.by_id: dict[str, dict[str, Document]] = {}
        self.same: dict[str, Document] = {}  # the document that another one is, by the other's hash
        self.shuffled: set[str] = set()
        self.differing: set[str] = set()

    def add(self, row: Mapping[str, Any], where: str, run_index: int, *, few_shot: bool) -> Key:
        """Take in a row; returns by what its document is known in its run.

        Raises
        ------
        DataError
            For a row that nothing identifies, and for a doc_id that is two questions where it is all there is.
        """
        doc_id = None if row.get("doc_id") is None else clean_text(row["doc_id"])
        found, recorded = _hash(row, doc_id, where)
        prompt = prompt_of(row, few_shot)
        document = self.by_hash.get(found)
        if document is None:
            words = _words(row.get("doc"))
            document = self.by_hash[found] = Document(found, where, recorded, {doc_id: prompt}, words)
        elif doc_id not in document.prompts and run_index in document.runs:
            document.prompts[doc_id] = prompt
        elif prompt != document.prompt(doc_id):
            if found.startswith("#") and not _alike(prompt, document.prompt(doc_id)):
                raise DataError(
                    f"doc_id {doc_id} of {self.task} is two questions, {document.where}, and {where}, and there is no "
                    "doc_hash; the runs number their documents differently, import them one by one"
                )
            self.differing.add(found)
        document.recorded |= recorded
        document.runs.add(run_index)
        if doc_id is not None:
            self.by_id.setdefault(doc_id, {})[found] = document
        return doc_id, found

    def join(self) -> None:
        """Find the documents that are one though their hashes differ."""
        for doc_id, there in self.by_id.items():
            firsts: list[Document] = []
            for document in sorted(there.values(), key=lambda d: (d.hash.startswith("#"), not d.recorded)):
                fits = [first for first in firsts if self._one(first, document)]
                if len(fits) == 1:
                    self._join(fits[0], document, doc_id)
                else:
                    firsts.append(document)
        self._join_without_ids()

    def instances(self, runs: Sequence[Sequence[Key]]) -> list[list[tuple[str, str | None]]]:
        """Instance id and prompt of each row of each run."""
        grouped = [self._by_document(keys) for keys in runs]
        places: dict[str, list[str | None]] = {}  # doc_ids in the run that has the document most often
        for there in grouped:
            for found, ids in there.items():
                if len(ids) > len(places.get(found, [])):
                    places[found] = ids
        names = self._names(places)
        rows: list[list[tuple[str, str | None]]] = []
        for keys, there in zip(runs, grouped, strict=True):
            rows.append([])
            for doc_id, found in keys:
                first = self._first(found)
                ids, known = there[first], places[first]
                slot = (known if set(ids) <= set(known) else ids).index(doc_id)
                rows[-1].append((names[first][slot], self.by_hash[first].prompt(known[slot])))
        return rows

    def notes(self) -> list[str]:
        """What a person has to know of how rows were joined."""
        found = []
        if n := len(self.shuffled):
            found.append(
                f"{self.task}: {n:,} documents have their options in another order in other runs: joined by doc_id and "
                "question"
            )
        apart = [doc_id for doc_id, there in self.by_id.items() if len({self._first(found) for found in there}) > 1]
        if apart:
            found.append(
                f"{self.task}: {len(apart):,} doc_ids are different documents in different runs (doc_id {apart[0]}): "
                "kept apart"
            )
        if n := len(self.differing):
            found.append(
                f"{self.task}: {n:,} documents have other prompts in other runs (few-shot examples, chat templates): "
                "those of the first run stand"
            )
        return found

    def _one(self, first: Document, other: Document) -> bool:
        if first.runs & other.runs:
            return False
        if other.hash.startswith("#"):
            return _alike(*(next(iter(document.prompts.values())) for document in (first, other)))
        return first.asks_as(other)

    def _join(self, first: Document, other: Document, doc_id: str | None) -> None:
        if other.hash in self.same or first is other:
            return
        self.same[other.hash] = first
        first.runs |= other.runs
        if doc_id is not None and first.recorded == other.recorded:
            self.shuffled.add(doc_id)

    def _join_without_ids(self) -> None:
        """Documents without a hash: by their words, where just one document with a hash has them."""
        hashed: dict[int, list[Document]] = {}
        for document in self.by_hash.values():
            if document.recorded and document.hash not in self.same:
                hashed.setdefault(_all_words(document.words), []).append(document)
        for document in self.by_hash.values():
            fits = [] if document.recorded or not document.words else hashed.get(_all_words(document.words), [])
            if len(fits) == 1 and self._one(fits[0], document):
                self._join(fits[0], document, None)

    def _first(self, found: str) -> str:
        while (document := self.same.get(found)) is not None:
            found = document.hash
        return found

    def _by_document(self, keys: Sequence[Key]) -> dict[str, list[str | None]]:
        """The doc_ids of a run by document, in order."""
        there: dict[str, list[str | None]] = {}
        for doc_id, found in keys:
            there.setdefault(self._first(found), []).append(doc_id)
        return {found: sorted(ids, key=_number_first) for found, ids in there.items()}

    def _names(self, places: Mapping[str, Sequence[str | None]]) -> dict[str, list[str]]:
        """Instance ids of a document: by its hash, or by doc_id where no run has one."""
        short = Counter(found[:SHORT] for found in places)
        owner: dict[str, Document] = {}
        names = {}
        for found, ids in places.items():
            document = self.by_hash[found]
            stem = found[:SHORT] if short[found[:SHORT]] == 1 else found
            by_hash = [stem + (f".{slot + 1}" if slot else "") for slot in range(len(ids))]
            by_id = [name if doc_id is None else doc_id for doc_id, name in zip(ids, by_hash, strict=True)]
            names[found] = [f"{self.task}.{name}" for name in (by_hash if document.recorded else by_id)]
            for name in names[found]:
                if (other := owner.setdefault(name, document)) is not document:
                    raise DataError(
                        f"{name} is two documents, {other.where}, and {document.where}, and there is no doc_hash; the "
                        "runs number their documents differently, import them one by one"
                    )
        return names


def _hash(row: Mapping[str, Any], doc_id: str | None, where: str) -> tuple[str, bool]:
    """By what a document is known, and whether that was logged."""
    logged, doc = row.get("doc_hash"), row.get("doc")
    if isinstance(logged, str) and logged:
        return clean_text(logged), True
    if doc:  # as the harness hashes it
        text = clean_text(json.dumps(doc, indent=2, ensure_ascii=False))
        return hashlib.sha256(text.encode()).hexdigest(), False
    if doc_id is None:
        raise DataError(f"{where} has neither doc_hash nor doc_id: nothing says which document it is")
    return f"#{doc_id}", False


def _words(doc: Any) -> dict[str, tuple[int, int]]:
    """By field, a digest of the words of a document in any order, and their number; the answer is left out."""
    found: dict[str, tuple[int, int]] = {}
    for name, text in question_texts(doc, numbers=True):
        words = [] if LETTER.fullmatch(text) else WORD.findall(text)
        digest, n = found.get(name, (0, 0))
        found[name] = (digest + sum(map(hash, words)), n + len(words))
    return found


def _all_words(words: Mapping[str, tuple[int, int]]) -> int:
    return sum(digest for digest, _ in words.values())


def _alike(one: str | None, other: str | None) -> bool:
    """Whether two prompts have half of the words of the shorter one in common, or one is not known."""
    first, second = (set(WORD.findall(text or "")) for text in (one, other))
    return not first or not second or len(first & second) >= ALIKE * min(len(first), len(second))


def _number_first(doc_id: str | None) -> tuple[int, str]:
    text = doc_id or ""
    return (int(text), "") if text.isascii() and text.isdigit() and len(text) < 18 else (10**18, text)
