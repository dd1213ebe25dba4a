"""A message is one line that any terminal can show, whatever it quotes."""

import pytest

from recroute.errors import LONGEST_LINE, RecrouteError, UnknownNameError, one_line


@pytest.mark.parametrize("name", ["q" * 10_000, "a b " * 2_500, "it's " * 2_000])
def test_a_long_name_is_cut(name: str) -> None:
    line = str(RecrouteError(f"score 1.7 for instance {name!r}, llm 'llama' is outside [0, 1]; mend it"))
    assert len(line) < 500
    assert line.startswith("score 1.7 for instance ")
    assert line.endswith("llm 'llama' is outside [0, 1]; mend it")
    assert "characters ...]" in line


def test_many_names_are_cut() -> None:
    assert len(one_line("name " * 5_000)) < LONGEST_LINE + 50
    assert len(str(UnknownNameError("llm", "q" * 10_000, ["r" * 10_000] * 20))) < LONGEST_LINE + 50


def test_what_is_not_long_stays() -> None:
    line = "recroute's folder /" + "a/" * 60 + " is none: " + "word " * 60 + "'a' and 'b'; name another's"
    assert one_line(line) == line
    assert one_line(one_line("x" * 5000)) == one_line("x" * 5000)


def test_control_characters_are_shown_not_sent() -> None:
    line = one_line("llm '\x1b]0;owned\x07\x1b[2J'\r\nis\x00 \u202eevil\udcff µ")
    assert line == "llm '\\x1b]0;owned\\x07\\x1b[2J' is\\x00 \\u202eevil\\udcff µ"
