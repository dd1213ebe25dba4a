"""The pages: their links lead somewhere, their commands parse, and the tutorial runs as it stands."""

import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import recroute
from recroute.cli.app import run

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ELSEWHERE = ("http://", "https://", "mailto:")

PLACES = ("*.md", ".docs/**/*.md", ".github/*.md", "data_cards/**/*.md", "recroute/**/*.md", "tests/**/*.md")


def pages() -> list[Path]:
    return sorted(page for place in PLACES for page in ROOT.glob(place))


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf8")


def anchors(page: Path) -> set[str]:
    """Of the headings, as GitHub and the site make them."""
    heads = re.findall(r"^#+ (.+)$", FENCE.sub("", text_of(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def commands(text: str) -> Iterator[str]:
    """Every `recroute ...` in a block of shell commands, without its comment and what it is piped into."""
    for language, block in FENCE.findall(text):
        if language in ("", "bash"):
            lines = re.sub(r"\\\n\s*", "", block).splitlines()
            yield from (re.split(r"\s+#|\s\|\s", line)[0].strip() for line in lines if line.startswith("recroute "))


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text_of(page))):
        if link.startswith(ELSEWHERE):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_parse(page: Path, parse: Callable[[str], None]) -> None:
    for command in commands(text_of(page)):
        parse(command)


def test_every_extra_is_on_a_page() -> None:
    extras = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]["optional-dependencies"]
    told = "".join(text_of(page) for page in pages() if page.name != "CHANGELOG.md")
    named = {name for names in re.findall(r"(?:recroute|\.|`)\[([a-z,]+)\]", told) for name in names.split(",")}
    assert not set(extras) - named


def test_the_readme_is_short() -> None:
    assert len(text_of(ROOT / "README.md").splitlines()) <= 120


def test_the_tutorial_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = text_of(ROOT / ".docs" / "tutorial.md")
    for language, block in FENCE.findall(text):
        if language == "python":
            exec(block, {})
        for command in commands(f"```bash\n{block}```\n") if language == "bash" else ():
            assert run(shlex.split(command)[1:]) == 0
    ranking = recroute.load_router("my_router_2").rank(["What is 12 times 13?"], k=21)
    assert "new-llm" in ranking.names[0]
    assert (tmp_path / "first.html").exists()


def test_every_public_name_is_on_a_page_of_the_reference() -> None:
    """The site makes the pages of the API from marks that name modules."""
    pages = (ROOT / ".docs" / "reference" / "api").glob("*.md")
    marks = [re.findall(r"^<!-- declared: api (.+) -->$", text_of(page), re.MULTILINE) for page in pages]
    homes = [home for mark in marks for line in mark for home in line.split()]
    for home in recroute._HOMES:
        assert [one for one in homes if home == one or home.startswith(f"{one}.")], home


@pytest.fixture(scope="module")
def declared() -> Iterator[Any]:
    """`.docs/declared.py`, which makes the reference from the code's declarations; it needs no Sphinx for that."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / ".docs"))
        yield import_module("declared")


def test_marks_of_the_reference_name_what_there_is(declared: Any) -> None:
    marks = {mark for page in pages() for mark, _ in declared.MARK.findall(text_of(page))}
    assert marks - {"metrics"} == declared.DECLARED.keys() - {"metrics"}  # contributing shows the mark of metrics


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("metrics", ["## mean_score", "ndcg@10\n", "higher is better", ">>> lift("]),
        ("layouts", ["## lm-eval", "`metric`", "layouts/helm.md"]),
        ("settings", ["## rr.scale", "`pool_sizes`", "| `n_resamples` | `int` | `1000` | from 1 |"]),
        ("routers", ["## svd", "| `n_factors` | `int` | `4` | from 1 | from 1 to 40, log | number of factors |"]),
        ("commands", ["## recroute data import", "recroute evaluate my_dataset", "`--pool-sizes`"]),
    ],
)
def test_the_reference_is_made_from_declarations(name: str, said: list[str], declared: Any) -> None:
    text = "".join(declared.DECLARED[name]())
    for part in said:
        assert part in text
