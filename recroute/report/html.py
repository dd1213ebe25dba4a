"""Documents as HTML: a page that needs no network, or the display in a notebook."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from importlib.resources import files

from recroute.report.document import Block, Cell, Document, Facts, Figure, Medium, Number, Section, Table, Words
from recroute.report.interactive import as_json, is_installed, library
from recroute.report.svg import inline_svg, notebook_svg

# Forbids loading anything, even if a name in the data contains an address.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:"
PLOT = '<script type="application/json" class="plot">'
TEXT = ' class="text"'
HOW_TO_READ = "Click a column to sort. Small numbers are 95% intervals."


def page(document: Document) -> str:
    """A complete page that includes style, script and figures."""
    assets = files("recroute.report").joinpath("assets")
    style, script = (assets.joinpath(f"report.{kind}").read_text(encoding="utf8") for kind in ("css", "js"))
    body = "\n".join([*_head(document, 1), *_shown(document.blocks, Medium.PAGE, 2)])
    if PLOT in body:
        script = f"{library()}</script>\n<script>\n{script}"
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(document.title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"{body}\n<script>\n{script}</script>\n</body>\n</html>\n"
    )


def notebook(document: Document) -> str:
    """HTML for a notebook, without script and style, so that it has the notebook's colours."""
    return "\n".join([*_head(document, 3), *_shown(document.blocks, Medium.NOTEBOOK, 4)])


def _head(document: Document, level: int) -> Iterator[str]:
    yield f"<h{level}>{escape(document.title)}</h{level}>"
    if document.facts:
        reading = f" {HOW_TO_READ}" if level == 1 else ""
        yield f'<p class="facts">{escape(document.facts)}{reading}</p>'
    if document.simulated:
        yield '<p class="banner"><b>SIMULATED DATA: nothing here says anything about real LLMs.</b></p>'
    if document.unfinished:
        yield f'<p class="banner"><b>{escape(document.unfinished)}</b></p>'
    if document.verdict:
        yield f'<section class="verdict">{_list(document.verdict)}</section>'
    if document.notes:
        yield f'<h{level + 1}>Notes</h{level + 1}><div class="notes">{_list(document.notes)}</div>'


def _list(lines: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def _shown(blocks: Iterable[Block], medium: Medium, level: int) -> Iterator[str]:
    """HTML of the blocks for this medium; headings begin at this level."""
    for block in blocks:
        if medium not in block.on:
            continue
        match block:
            case Section():
                yield from _section(block, medium, level)
            case Table():
                yield _sortable(block) if medium is Medium.PAGE else _plain(block)
            case Figure():
                yield _figure(block, medium)
            case Facts():
                title = f"<h3>{escape(block.title)}</h3>" if block.title else ""
                yield title + (_facts(block) if block.facts else "<p>not recorded</p>")
            case Words(text=text, is_command=True):
                yield f"<pre><code>{escape(text)}</code></pre>"
            case Words(text=text):
                yield f"<p>{escape(text)}</p>"


def _section(section: Section, medium: Medium, level: int) -> Iterator[str]:
    inside = list(_shown(section.blocks, medium, level + 1))
    if not inside:
        return
    if section.folded and medium is Medium.PAGE:
        yield f"<details><summary>{escape(section.title)}</summary>" + "\n".join(inside) + "</details>"
        return
    yield f"<h{level}>{escape(section.title)}</h{level}>"
    yield from inside


def _figure(figure: Figure, medium: Medium) -> str:
    drawn = figure.draw().figure
    if medium is Medium.NOTEBOOK:
        return notebook_svg(drawn, figure.name, figure.caption)
    caption = escape(figure.caption)
    plot = f"{PLOT}{as_json(drawn)}</script>" if is_installed() else ""
    svg = inline_svg(drawn, figure.name, figure.caption)
    return f"<figure>{svg}{plot}<figcaption>{caption}</figcaption></figure>"


def _sortable(table: Table) -> str:
    """A table for a page; each number has its value as an attribute, for sorting."""
    words = [table.is_text(i) for i in range(len(table.heads))]
    head = "".join(
        f'<th scope="col"{" class=text" if is_text else ""}><button type="button">{_breakable(name)}</button></th>'
        for name, is_text in zip(table.heads, words, strict=True)
    )
    body = "\n".join(
        f"<tr{_row_class(table, at)}>{''.join(_cell(cell, TEXT) for cell in row)}</tr>"
        for at, row in enumerate(table.rows)
    )
    title = f"<caption>{escape(table.title)}</caption>" if table.title else ""
    below = f'<p class="caption">{escape(table.caption)}</p>' if table.caption else ""
    kind = "sortable ruled" if table.ruled else "sortable"
    return (
        f'<div class="scroll"><table class="{kind}">{title}<thead><tr>{head}</tr></thead>'
        f"<tbody>\n{body}\n</tbody></table></div>{below}"
    )


def _breakable(name: str) -> str:
    """A heading that may be broken within long names."""
    return re.sub(r"(?<=[_(])(?=\w)", "<wbr>", escape(name))


def _row_class(table: Table, at: int) -> str:
    """Class of a row: of a bound or baseline, or the last before a rule."""
    if table.rows[at][0] in table.soft:
        return " class=bound"
    return " class=last" if table.ends_group(at) else ""


def _plain(table: Table) -> str:
    """A table for a notebook."""
    left = ' style="text-align: left"'
    head = "".join(f"<th{left if table.is_text(i) else ''}>{escape(name)}</th>" for i, name in enumerate(table.heads))
    body = "\n".join(f"<tr>{''.join(_cell(cell, left) for cell in row)}</tr>" for row in table.rows)
    title = f"<p>{escape(table.title)}</p>" if table.title else ""
    below = f"<p>{escape(table.caption)}</p>" if table.caption else ""
    return f"{title}<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>{below}"


def _cell(cell: Cell, of_text: str) -> str:
    if not isinstance(cell, Number):
        lines = "<br>".join(map(escape, cell.split("\n")))
        return f"<td{of_text}>{lines}</td>"
    if cell.below:
        small = f" <small>{escape(cell.below)}</small>"
    else:
        ends = cell.ends()
        small = f" <small>{ends[0]} to {ends[1]}</small>" if ends else ""
    value = f' data-value="{cell.value!r}"' if cell.known else ""
    return f"<td{value}>{escape(cell.shown())}{small}</td>"


def _facts(block: Facts) -> str:
    rows = (
        f'<tr><td class="text">{escape(str(key))}</td><td class="wrap"><code>{escape(str(value))}</code></td></tr>'
        for key, value in block.facts.items()
    )
    return f"<table><tbody>{''.join(rows)}</tbody></table>"
