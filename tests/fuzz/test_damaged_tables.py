"""Tables of any form with anything wrong in them, imported or read as they are: a data set, or one line."""

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
from fuzzing import few, place, run_verb
from hypothesis import given
from hypothesis import strategies as st
from mutations import NAMES, RETYPED, TEXTS

LONG = pl.DataFrame(
    {
        "instance_id": ["q0", "q0", "q1", "q1", "q2"],
        "llm_id": ["a", "b", "a", "b", "a"],
        "score": [1.0, 0.0, 0.5, None, 1.0],
        "task": ["x", "x", "y", "y", "x"],
        "prompt": ["one", "one", "two, 2", "two, 2", 'th"ree\n3'],
    }
)
WIDE = pl.DataFrame({"instance_id": ["q0", "q1", "q2"], "a": [1.0, 0.5, 1.0], "b": [0.0, None, 0.25]})
CELLS = [
    "",
    "0,5",
    "1.0",
    "True",
    "no",
    "NA",
    "nan",
    "-",
    "1e400",
    "50%",
    "1,234.5",
    '"',
    '""',
    "x",
    "7",
    "é",
    "\t",
    ";",
]
MARKS = [b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"ARROW1", b"[", b"sep=;\n"]


def delimited(separator: str, comma: bool, encoding: str) -> Callable[[pl.DataFrame], bytes]:
    return lambda table: table.write_csv(separator=separator, decimal_comma=comma).encode(encoding)


def stream(table: pl.DataFrame) -> bytes:
    arrow, sink = table.to_arrow(), pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, arrow.schema) as writer:
        writer.write_table(arrow)
    return bytes(sink.getvalue().to_pybytes())


FORMS: dict[str, Callable[[pl.DataFrame], bytes]] = {
    "t.csv": delimited(",", False, "utf-8"),
    "s.csv": delimited(";", True, "utf-8-sig"),
    "t.tsv": delimited("\t", False, "utf-16"),
    "t.csv.gz": lambda table: pa.compress(table.write_csv().encode(), codec="gzip", asbytes=True),
    "t.jsonl": lambda table: table.write_ndjson().encode(),
    "t.json": lambda table: json.dumps(table.rows(named=True), indent=1).encode(),
    "t.arrow": stream,
}


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    for _ in range(draw(st.integers(0, 3))):
        at, size = draw(st.integers(0, len(content))), draw(st.sampled_from([0, 1, 2, 9]))
        new = draw(
            st.one_of(st.binary(max_size=3), st.sampled_from([*MARKS, content[at : at + 9], b",", b"\n", b"\r"]))
        )
        content = content[:at] + new + content[at + size :]
    return draw(st.sampled_from(MARKS)) + content if draw(st.booleans()) else content[: draw(st.integers(0, 4000))]


def read_in_every_way(source: Path, folder: Path) -> None:
    scale = ("--scale", "minmax")
    for more in ((), scale, ("--pairs",)):
        if run_verb("data", "import", "table", source, folder / "imported", *more).code == 0:
            assert run_verb("data", "describe", folder / "imported").code == 0
    if source.is_file():
        run_verb("data", "doctor", source)


@few(40)
@given(data=st.data(), name=st.sampled_from(list(FORMS)), wide=st.booleans())
def test_a_damaged_file(data: st.DataObject, name: str, wide: bool) -> None:
    with place() as folder:
        (folder / name).write_bytes(data.draw(damaged(FORMS[name](WIDE if wide else LONG))))
        read_in_every_way(folder / name, folder)


@few(40)
@given(data=st.data(), wide=st.booleans())
def test_a_table_with_columns_of_other_names_types_and_values(data: st.DataObject, wide: bool) -> None:
    sound = WIDE if wide else LONG
    table = sound.to_arrow()
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, table.num_columns - 1))
        name = data.draw(st.sampled_from([table.column_names[at], "", "Unnamed: 0", "__index_level_0__", "id", *NAMES]))
        column = RETYPED[data.draw(st.sampled_from(list(RETYPED)))](sound.to_series(at % sound.width).to_list())
        if data.draw(st.booleans()):
            table = table.set_column(at, name, column if data.draw(st.booleans()) else table.column(at))
        else:
            table = table.add_column(at, name, column)
    with place() as folder:
        with pa.ipc.new_stream(str(folder / "t.arrow"), table.schema) as writer:
            writer.write_table(table)
        read_in_every_way(folder / "t.arrow", folder)


@few(40)
@given(data=st.data(), separator=st.sampled_from(",;\t|"), wide=st.booleans())
def test_a_table_of_odd_cells(data: st.DataObject, separator: str, wide: bool) -> None:
    table = (WIDE if wide else LONG).with_columns(pl.all().cast(pl.String))
    rows = [list(row) for row in [table.columns, *table.rows()]]
    for _ in range(data.draw(st.integers(1, 4))):
        row = data.draw(st.sampled_from(rows))
        row[data.draw(st.integers(0, len(row) - 1))] = data.draw(st.sampled_from([*CELLS, *TEXTS, *NAMES]))
    end = data.draw(st.sampled_from(["\n", "\r\n", "\r", "\n\n"]))
    text = end.join(separator.join("" if cell is None else cell for cell in row) for row in rows) + end
    with place() as folder:
        (folder / "t.csv").write_bytes(text.encode(data.draw(st.sampled_from(["utf8", "utf-16"])), "replace"))
        read_in_every_way(folder / "t.csv", folder)


@few(30)
@given(data=st.data())
def test_a_folder_of_partitions_with_something_wrong(data: st.DataObject) -> None:
    with place() as folder:
        for llm in ("a", "b"):
            part = (
                folder / "parts" / data.draw(st.sampled_from([f"llm_id={llm}", llm, "llm_id=", "=x", "score=1", "a=b"]))
            )
            part.mkdir(parents=True, exist_ok=True)
            name = data.draw(st.sampled_from(["0.csv", "0.jsonl", "state.json", "_x.csv", "train-00000-of-00001.csv"]))
            table = LONG.filter(pl.col("llm_id") == llm)
            table = (
                table.drop(data.draw(st.sampled_from(["llm_id", "task", "score"])))
                if data.draw(st.booleans())
                else table
            )
            (part / name).write_bytes(FORMS["t.jsonl" if "json" in name else "t.csv"](table))
        if data.draw(st.booleans()):
            told = data.draw(st.sampled_from(["{}", "[]", "x", '{"splits": ["a", 1]}', '{"splits": ["a"]}']))
            (folder / "parts" / "dataset_dict.json").write_text(told, "utf8")
        read_in_every_way(folder / "parts", folder)
