"""A document says the same in a terminal, in a notebook and on a page."""

import io
import re

import pytest
from rich.console import Console

from recroute.report.document import Document, Facts, Figure, Medium, Number, Section, Table, Words
from recroute.report.figure import new_axes
from recroute.report.html import notebook, page
from recroute.report.terminal import show

TABLE = Table(
    heads=["router", "mean score"],
    rows=[["auto <b>", Number(0.75, 0.7, 0.8)], ["oracle", Number(None)]],
    title="routers",
    caption="n = 40",
    soft=("oracle",),
)


def in_terminal(document: Document, width: int = 100) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    show(document, console)
    return console.export_text()


def made(**options: object) -> Document:
    return Document(title="Routing on x", facts="40 instances", verdict=["auto wins"], notes=["mind this"], **options)  # type: ignore[arg-type]


def test_every_medium_shows_table_verdict_and_notes() -> None:
    document = made(blocks=[TABLE])
    for shown in (in_terminal(document), notebook(document), page(document)):
        for text in (".750", ".70", "n = 40", "auto wins", "mind this"):
            assert text in shown


def test_names_are_escaped_and_numbers_can_be_sorted() -> None:
    html = page(made(blocks=[TABLE]))
    assert "auto &lt;b&gt;" in html
    assert "<b>" not in html.partition("<body>")[2]
    assert 'data-value="0.75"' in html
    assert "<tr class=bound>" in html


def test_simulated_and_unfinished_are_said_everywhere() -> None:
    document = made(blocks=[TABLE], simulated=True, unfinished="INTERRUPTED: only finished seeds are here.")
    for shown in (in_terminal(document), notebook(document), page(document)):
        assert "SIMULATED DATA" in shown
        assert "INTERRUPTED" in shown


def test_a_block_is_shown_where_it_belongs() -> None:
    blocks = [
        Section(
            title="Provenance", blocks=[Facts(facts={"seeds": "0, 1"}), Words(text="recroute scale", is_command=True)]
        ),
        Table(heads=["a"], rows=[["only here"]], on=Medium.SCREEN),
        Figure(name="f", draw=lambda: new_axes(2, 2), caption="a picture", on=Medium.PAGE),
    ]
    document = made(blocks=blocks)
    terminal, html = in_terminal(document), page(document)
    assert "only here" in terminal
    assert "only here" not in html
    assert "recroute scale" in html
    assert "<svg" in html
    assert "Origin" not in notebook(document)  # an empty section is none


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (100, [["auto", ".500 [.25, .75]", ".500 [.25, .75]"]]),
        (45, [["auto", ".500", ".500"], ["", ".25 .75", ".25 .75"]]),
        (27, [["auto", ".500", ".500"], ["", ".25", ".25"], ["", ".75", ".75"]]),
    ],
)
def test_intervals_stand_beside_their_numbers_while_there_is_room(width: int, lines: list[list[str]]) -> None:
    row = ["auto", *(Number(0.5, 0.25, 0.75) for _ in range(2))]
    table = Table(heads=["router", "m = 5", "m = 10"], rows=[row])
    shown = in_terminal(made(blocks=[table]), width).splitlines()
    start = next(i for i, line in enumerate(shown) if "auto" in line)
    cells = [[cell.strip() for cell in line.strip().strip("│").split("│")] for line in shown[start:]]
    assert cells[: len(lines)] == lines
    assert max(len(line) for line in shown if "│" in line) <= width


def test_numbers_are_whole_in_every_width() -> None:
    heads = ["router", "AIQ", "cost at 95%", "cost at 100%", "mu, ignoring cost", "cost of that"]
    rows = [["best_single", *(Number(100 + i, 90 + i, 110 + i) for i in range(5))]]
    document = made(blocks=[Table(heads=heads, rows=rows, title="x")])
    for width in (70, 80, 100, 120, 160):
        shown = in_terminal(document, width)
        assert all(f"{100 + i:.3f}" in shown for i in range(5))
        assert all(f"{end + i:.2f}" in shown for end in (90, 110) for i in range(5))
        assert max(map(len, shown.splitlines())) <= width


def test_a_table_without_rows_is_shown_everywhere() -> None:
    document = Document(title="t", blocks=[Table(title="empty", heads=["a", "b"], rows=[], ruled=True)])
    console = Console(width=80, record=True, file=io.StringIO())
    show(document, console)
    for text in (console.export_text(), page(document), notebook(document)):
        assert "empty" in text


def test_groups_of_a_ruled_table_end_with_a_line_on_a_page() -> None:
    rows = [["random", "0"], ["random", "4"], ["active", "0"], ["active", "4"]]
    html = page(made(blocks=[Table(heads=["strategy", "anchors"], rows=rows, ruled=True)]))
    assert 'class="sortable ruled"' in html
    assert re.findall(r"<tr( class=\w+)?><td", html) == ["", " class=last", "", ""]


def test_a_figure_is_as_wide_as_its_inches_and_long_heads_may_break() -> None:
    figure = Figure(name="f", draw=lambda: new_axes(12.5, 2))
    html = page(made(blocks=[figure, Table(heads=["oracle_mix(p=0.5)"], rows=[["a"]])]))
    assert "--inches: 12.5" in html
    assert "oracle_<wbr>mix(<wbr>p=0.5)" in html
