"""Pieces of the page of a study."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from importlib.resources import files

from recroute.evaluation import Evaluation
from recroute.report.document import Medium
from recroute.report.html import POLICY, _head, _shown


def evaluation_sections(evaluation: Evaluation) -> Iterator[str]:
    """All that there is to tell of an evaluation, below a title of the page."""
    document = evaluation.document()
    yield from _head(document, 2)
    yield from _shown(document.blocks, Medium.PAGE, 3)


def page(title: str, sections: Iterable[str]) -> str:
    """A whole page of these sections, with style and script in it."""
    assets = files("recroute.report").joinpath("assets")
    style, script = (assets.joinpath(f"report.{kind}").read_text(encoding="utf8") for kind in ("css", "js"))
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        + "\n".join(sections)
        + f"\n<script>\n{script}</script>\n</body>\n</html>\n"
    )


def notebook_html(evaluation: Evaluation) -> str:
    """What a notebook shows of an evaluation."""
    return evaluation._repr_html_()


def html_list(lines: list[str]) -> str:
    """Lines as a list, escaped."""
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"
