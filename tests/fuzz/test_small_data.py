"""Tiny and degenerate data under every verb and router: a result, or one line on what is missing."""

import pytest
from fuzzing import few, place, run_verb
from hypothesis import given
from hypothesis import strategies as st
from small_data import KINDS, Tables, drawn
from verbs import lines, run_line


@pytest.mark.parametrize("kind", KINDS)
def test_a_weak_data_set_is_described_and_examined(kind: str) -> None:
    with place() as folder:
        data = KINDS[kind]().write(folder / "data")
        run_verb("data", "describe", data)
        run_verb("data", "doctor", data)


@few(25)
@given(kind=st.sampled_from(list(KINDS)), line=lines())
def test_a_weak_data_set_under_any_verb(kind: str, line: tuple[str, str]) -> None:
    with place() as folder:
        run_line(line[0], KINDS[kind]().write(folder / "data"), line[1], folder)


@few(25)
@given(tables=drawn(), line=lines())
def test_a_drawn_data_set_under_any_verb(tables: Tables, line: tuple[str, str]) -> None:
    with place() as folder:
        run_line(line[0], tables.write(folder / "data"), line[1], folder)
