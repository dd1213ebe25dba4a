"""What lm-evaluation-harness asked: the text of a prompt, and the words of a document."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from recroute.data.sources._pickle import clean_text

# Fields that hold the answer, or say which document it is.
NO_QUESTION = re.compile(
    r"answer|target|gold|label|correct|solution|rationale|explanation|^(id|idx|index|uid|uuid|url)$|_id$|hash$", re.I
)
LETTER = re.compile(r"\W*[A-Za-z]\W*")  # the letter of the right option, which changes when options are shuffled
MIN_WORDS = 3  # of a field by which the question is found behind its few-shot examples


def prompt_of(row: Mapping[str, Any], few_shot: bool) -> str | None:
    """The text that was sent; few-shot examples before it are left out.

    Where the requests of a document begin with different texts (options filled into a gap), or none was logged, it
    is the document's text.
    """
    doc = row.get("doc")
    asked = [text for request in _requests(row.get("arguments")) if (text := _first_text(request)) is not None]
    text = asked[0] if asked else None
    if len(set(asked)) > 1 or text is None:
        text = document_text(doc) or text
    elif few_shot:
        text = _last_question(text, doc)
    return None if text is None else clean_text(text)


def document_text(doc: Any) -> str | None:
    """All text fields of a document in their order, but the answer."""
    if isinstance(doc, str):
        return doc if doc.strip() else None
    texts = [text for _, text in question_texts(doc)]
    return "\n".join(texts) or None


def question_texts(doc: Any, numbers: bool = False) -> list[tuple[str, str]]:
    """Field and text of what a document asks; all its fields if each seems to be an answer."""
    if not isinstance(doc, dict):
        return list(_leaves("", doc, numbers))
    fields = {str(key): value for key, value in doc.items() if not NO_QUESTION.search(str(key))}
    for part in (fields, doc):
        if found := [leaf for key, value in part.items() for leaf in _leaves(str(key), value, numbers)]:
            return found
    return []


def _leaves(field: str, value: Any, numbers: bool) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        if value.strip():
            yield field, value
    elif isinstance(value, dict | list):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in inner:
            if not NO_QUESTION.search(str(key)):
                yield from _leaves(field, part, numbers)
    elif numbers and value is not None:
        yield field, str(value)


def _requests(arguments: Any) -> list[Any]:
    """The requests of a document: `{gen_args_0: {arg_0: ...}}`, or a list of lists in early versions."""
    if isinstance(arguments, dict):
        named = [value for key, value in arguments.items() if str(key).startswith("gen_args")]
        return named or [arguments]
    if isinstance(arguments, list) and any(isinstance(part, list | dict) for part in arguments):
        return [arguments] if _is_message(arguments[0]) else arguments
    return [arguments]


def _first_text(value: Any) -> str | None:
    """The first text in a request; of a conversation what its user said last."""
    if isinstance(value, str):
        if value.lstrip().startswith("[{") and '"role"' in value:
            try:
                return _first_text(json.loads(value))
            except (ValueError, RecursionError):
                return value
        return value if value.strip() else None
    if isinstance(value, list) and value and _is_message(value[0]):
        said = [part for part in value if _is_message(part) and part.get("role") == "user"] or value
        return _first_text(said[-1].get("content")) if _is_message(said[-1]) else None
    if isinstance(value, dict) and isinstance(value.get("text"), str):
        return _first_text(value["text"])
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((text for part in parts if (text := _first_text(part)) is not None), None)


def _is_message(value: Any) -> bool:
    return isinstance(value, dict) and "role" in value and "content" in value


def _last_question(text: str, doc: Any) -> str:
    """The text from the paragraph on in which the document begins."""
    places = [text.rfind(part) for _, part in question_texts(doc) if len(part.split()) >= MIN_WORDS and part in text]
    return text[text.rfind("\n\n", 0, min(places)) + 2 :] if places and "\n\n" in text[: min(places)] else text
