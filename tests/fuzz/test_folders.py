"""Dataset folders with anything wrong in them, under every verb: a result, or one line on what to mend."""

import json

import pytest
from fuzzing import few, place, run_verb
from hypothesis import given
from hypothesis import strategies as st
from mutations import CARDS, STAND_INS, embeddings, mutate, stand_in
from small_data import sound
from verbs import lines, run_line

SOUND = sound(24, 4)


@few(150)
@given(data=st.data(), line=lines())
def test_a_damaged_folder_under_any_verb(data: st.DataObject, line: tuple[str, str]) -> None:
    with place() as folder:
        SOUND.write(folder / "data")
        mutate(data.draw, folder / "data")
        if run_verb("data", "describe", folder / "data", "--json", folder / "o.json").code == 0:
            json.loads((folder / "o.json").read_text("utf8"))
            run_line(line[0], folder / "data", line[1], folder)


@pytest.mark.parametrize("name", embeddings(SOUND.instance_ids))
def test_what_may_lie_in_place_of_embeddings(name: str) -> None:
    with place() as folder:
        SOUND.write(folder / "data")
        (folder / "data" / "embeddings.npz").write_bytes(embeddings(SOUND.instance_ids)[name])
        run_verb("data", "describe", folder / "data")


@pytest.mark.parametrize("text", CARDS)
def test_what_may_lie_in_place_of_a_card(text: str) -> None:
    with place() as folder:
        SOUND.write(folder / "data")
        (folder / "data" / "card.json").write_text(text, encoding="utf8")
        run_verb("data", "describe", folder / "data", "--json", folder / "o.json")


@pytest.mark.parametrize("name", ["data", "records.parquet", "instances.parquet", "embeddings.npz", "card.json"])
@pytest.mark.parametrize("kind", STAND_INS)
def test_no_file_where_one_is_expected(name: str, kind: str) -> None:
    with place() as folder:
        path = folder / "data"
        if name != "data":
            SOUND.write(path)
            path /= name
            path.unlink(missing_ok=True)
        stand_in(path, kind)
        expected = 0 if kind == "nothing" and name not in ("data", "records.parquet") else 2
        assert run_verb("data", "describe", folder / "data").code == expected
