"""The data cards: one for everything that can be imported, with the same parts, commands that parse, true numbers."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from recroute.data import read_dataset
from recroute.data.description import description
from recroute.data.download import DATASETS
from recroute.data.sources import layout_names

CARDS = Path(__file__).parents[2] / "data_cards"
FILES = sorted(path for path in CARDS.rglob("*.md") if path.name != "README.md")
PARTS = ("What it is", "Source", "Licence", "Score", "Import", "Known faults")
REAL = ("llmrouter", "mmlupro", "openllm1", "routerbench", "swebench", "zeroeval")


@pytest.mark.parametrize("card", FILES, ids=lambda path: path.stem)
def test_every_card_has_the_same_parts(card: Path) -> None:
    text = card.read_text(encoding="utf8")
    missing = [part for part in PARTS if not re.search(rf"\*\*{part}\b[^*]*\*\*", text)]
    assert not missing


@pytest.mark.parametrize("card", FILES, ids=lambda path: path.stem)
def test_its_import_is_a_command_that_parses(card: Path, parse: Callable[[str], None]) -> None:
    (how,) = re.findall(r"^\*\*Import\.\*\* (.*)$", card.read_text(encoding="utf8"), re.MULTILINE)
    commands = re.findall(r"`(recroute [^`]+)`", how)
    assert commands
    for command in commands:
        parse(command)


def test_everything_that_can_be_imported_has_a_card_and_is_in_the_index() -> None:
    for layout in (*layout_names(), *(known.layout for known in DATASETS.values())):
        assert (CARDS / "layouts" / f"{layout}.md").is_file()
    for folder in (CARDS, CARDS / "layouts"):
        index = (folder / "README.md").read_text(encoding="utf8")
        for card in folder.glob("*.md"):
            assert card.name == "README.md" or f"]({card.name})" in index
    for file in CARDS.rglob("*.md"):
        for link in re.findall(r"\]\(([^)#]+)\)", file.read_text(encoding="utf8")):
            assert (file.parent / link).exists(), f"{file.name}: {link}"


@pytest.mark.realdata
@pytest.mark.parametrize("name", REAL)
def test_the_numbers_of_a_card_are_those_of_the_data(name: str, real: Path) -> None:
    facts = description(read_dataset(real / name))
    text = (CARDS / f"{name}.md").read_text(encoding="utf8")
    head = f"{facts['n_llms']:,} LLMs x {facts['n_instances']:,} instances, {facts['n_records']:,} records, density"
    assert f"{head} {facts['density']:.3f}" in text
    levels = [float(f"{facts[key]:.3f}") for key in ("best_single", "oracle", "random")]
    told = re.search(r"Best single LLM ([\d.]+), oracle ([\d.]+), random ([\d.]+)", text)
    assert told is not None
    assert [float(value) for value in told.groups()] == pytest.approx(levels, abs=0.0011)
    rows = re.findall(
        r"^\| ([^|]+) \| ([\d,]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", text, re.MULTILINE
    )
    assert [row[0] for row in rows] == [row["task"] for row in facts["task_table"]]
    for row, found in zip(rows, facts["task_table"], strict=True):
        assert int(row[1].replace(",", "")) == found["n_instances"]
        values = [found[key] for key in ("density", "best_single", "oracle", "random")]
        assert [float(value) for value in row[2:]] == pytest.approx(values, abs=0.0006)
