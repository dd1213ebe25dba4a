"""Tables as pandas, polars, Excel, R and people write them, and identity of instances in them."""

import gzip
import json
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recroute.data import Dataset, read_dataset
from recroute.data.sources import import_dataset
from recroute.errors import DataError

WIDE = "instance_id,task,alpha,beta\nq0,a,0.5,1\nq1,b,0.25,0\nq2,a,0.125,1\nq3,b,1,0\nq4,a,0,0.75\n"
SCORES = {"alpha": [0.5, 0.25, 0.125, 1, 0], "beta": [1, 0, 1, 0, 0.75]}
LONG = pl.DataFrame({"instance_id": ["q0", "q0", "q1"], "llm_id": ["a", "b", "a"], "score": [1.0, 0.0, 0.5]})
CELLS = {("q0", "a"): 1.0, ("q0", "b"): 0.0, ("q1", "a"): 0.5}


class Importer:
    """Imports files of a folder, and keeps what the last import noted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notes: tuple[str, ...] = ()

    def write(self, content: str | bytes, name: str = "t.csv") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def read(self, source: Path, **settings: Any) -> Dataset:
        done = import_dataset("table", source, self.folder / "imported", **settings)
        self.notes = done.notes
        return read_dataset(done.path)

    def scores(self, source: Path, **settings: Any) -> dict[str, list[float]]:
        """Scores of each LLM, in the order of the instances; NaN is unobserved."""
        data = self.read(source, **settings)
        dense = data.interactions.dense().astype(float).round(6)
        return {llm: dense[:, column].tolist() for column, llm in enumerate(data.llm_ids)}

    def cells(self, source: Path, **settings: Any) -> dict[tuple[str, str], float]:
        data = self.read(source, **settings)
        rows, columns = data.interactions.coordinates()
        values = data.interactions.scores.data
        ids, llms = data.instance_ids.ids, data.llm_ids.ids
        return {(ids[i], llms[j]): round(float(s), 6) for i, j, s in zip(rows, columns, values, strict=True)}

    def refused(self, source: Path, **settings: Any) -> str:
        shutil.rmtree(self.folder / "imported", ignore_errors=True)
        with pytest.raises(DataError) as found:
            self.read(source, **settings)
        assert "\n" not in str(found.value)
        assert not (self.folder / "imported").exists()
        return str(found.value)


@pytest.fixture
def table(tmp_path: Path) -> Importer:
    return Importer(tmp_path)


# -- columns that are no LLM


def with_index(text: str, name: str, index: Callable[[int], object] = lambda row: row) -> str:
    head, *rows = text.splitlines()
    return "\n".join([f"{name},{head}", *(f"{index(row)},{line}" for row, line in enumerate(rows))]) + "\n"


@pytest.mark.parametrize("name", ["", '""', "Unnamed: 0", "__index_level_0__"])
@pytest.mark.parametrize("index", [lambda row: row, lambda row: 70 - 7 * row, lambda row: "xyzuv"[row]])
def test_an_index_without_a_name_is_left_out_and_said(
    table: Importer, name: str, index: Callable[[int], object]
) -> None:
    assert table.scores(table.write(with_index(WIDE, name, index))) == SCORES
    assert any(note.startswith("an index without a name in column") for note in table.notes)


def test_an_index_never_bends_a_scale(table: Importer) -> None:
    percent = "\n".join(["instance_id,alpha,beta", "q0,50,100", "q1,25,0", "q2,12.5,100", "q3,100,0", "q4,0,75"])
    for scale in ("percent", "minmax"):
        assert table.scores(table.write(with_index(percent, "Unnamed: 0")), scale=scale) == SCORES


@pytest.mark.parametrize("name", ["rank", "index", "no", "row"])
def test_a_column_that_counts_the_rows_is_no_llm_whatever_its_name(table: Importer, name: str) -> None:
    for scale in (None, "minmax"):
        scores = table.scores(table.write(with_index(WIDE, name, lambda row: row + 1)), scale=scale)
        assert scores == SCORES
        assert f"row numbers in column {name!r} of t.csv are no scores: left out" in table.notes


def test_a_known_name_of_an_index_may_be_shuffled_and_be_an_llm(table: Importer) -> None:
    assert table.scores(table.write(with_index(WIDE, "index", lambda row: 70 - 7 * row))) == SCORES
    assert list(table.scores(table.write(with_index(WIDE, "index", lambda row: row % 2)))) == ["index", *SCORES]


def test_scores_that_count_the_rows_are_refused_without_advice_to_scale(table: Importer) -> None:
    rows = "\n".join(f"q{row},a,{row}" for row in range(8))
    message = table.refused(table.write(f"instance_id,llm_id,score\n{rows}\n"))
    assert "score counts the rows of t.csv" in message
    assert "scale" not in message


def test_scores_without_a_name_are_refused(table: Importer) -> None:
    message = table.refused(table.write("instance_id,alpha,\nq0,1,0.5\nq1,0,0.25\nq2,0,1\n"))
    assert "column 'Unnamed: 2' of t.csv has numbers and no name" in message
    assert table.scores(table.write("instance_id,alpha,\nq0,1,\nq1,0,\n")) == {"alpha": [1, 0]}  # a comma too many


def test_an_index_without_a_name_holds_the_ids_where_nothing_else_does(table: Importer) -> None:
    data = table.read(table.write(",alpha,beta\nq0,1,0\nq1,0,1\n"))
    assert (data.instance_ids.ids, data.llm_ids.ids) == (("q0", "q1"), ("alpha", "beta"))
    assert "the first column of t.csv, which has no name, is taken for instance_id" in table.notes


def test_an_index_in_parquet_is_left_out(table: Importer, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"instance_id": ["q0", "q1", "q2"], "a": [1, 0, 1]}).iloc[[2, 0]]
    frame.to_parquet(tmp_path / "t.parquet")
    assert table.scores(tmp_path / "t.parquet") == {"a": [1, 1]}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("instance_id,a,b,a\nq,1,0,1\n", "t.csv"),
        ("instance_id,a,b, a\nq,1,0,1\n", "t.csv"),
        ("instance_id;a;b;a\nq;1;0;1\n", "t.csv"),
        ("instance_id\ta\tb\ta\nq\t1\t0\t1\n", "t.tsv"),
        ('{"instance_id": "q", "a": 1, "a": 0}\n', "t.jsonl"),
    ],
)
def test_a_column_that_stands_twice_is_refused(table: Importer, text: str, name: str) -> None:
    assert f"column 'a' stands twice in {name}" in table.refused(table.write(text, name))


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".stream.arrow"])
def test_a_column_that_stands_twice_in_a_binary_file_is_refused(table: Importer, tmp_path: Path, suffix: str) -> None:
    arrow = LONG.to_arrow()
    write_arrow(arrow.append_column("score", arrow["score"]), tmp_path / f"t{suffix}")
    assert "column 'score' stands twice" in table.refused(tmp_path / f"t{suffix}")


def write_arrow(arrow: pa.Table, path: Path) -> None:
    if path.suffix == ".parquet":
        pq.write_table(arrow, path)
    else:
        new = pa.ipc.new_stream if ".stream" in path.suffixes else pa.ipc.new_file
        with new(str(path), arrow.schema) as writer:
            writer.write_table(arrow)


# -- separators, numbers, encodings


def decimals(text: str) -> str:
    return text.replace(",", ";").replace(".", ",")


@pytest.mark.parametrize(
    ("text", "name", "note"),
    [
        (WIDE, "t.csv", ""),
        (WIDE.replace(",", ";"), "t.csv", "separated by semicolons"),
        (decimals(WIDE), "t.csv", "a decimal comma"),
        (WIDE.replace(",", "\t"), "t.csv", "separated by tabs"),
        (WIDE.replace(",", "\t").replace(".", ","), "t.tsv", "a decimal comma"),
        (WIDE, "t.tsv", "separated by commas"),
        (WIDE.replace(",", "\t"), "t.txt", ""),
        (WIDE.replace(",", "|"), "t.csv", "separated by bars"),
        ("sep=;\n" + decimals(WIDE), "t.csv", "a decimal comma"),
        ("sep=,\r\n" + WIDE.replace("\n", "\r\n"), "t.csv", ""),
        ('"sep=\t"\n' + WIDE.replace(",", "\t"), "t.csv", ""),
        (WIDE.replace("\n", "\r\n"), "t.csv", ""),
        (WIDE.replace("\n", "\r"), "t.csv", ""),
        ("\n" + WIDE + "\n\n", "t.csv", ""),
        (WIDE.replace("\n", "\r\n") + "\r\n,,,\r\n", "t.csv", ""),
        (WIDE.replace(",", ", "), "t.csv", ""),
        ("\ufeff" + WIDE, "t.csv", ""),
        ("\ufeffsep=;\n" + decimals(WIDE), "t.csv", "a decimal comma"),
    ],
)
def test_tables_are_read_in_any_dialect(table: Importer, text: str, name: str, note: str) -> None:
    assert table.scores(table.write(text, name)) == SCORES
    assert table.read(table.write(text, name)).tasks.tolist() == ["a", "b", "a", "b", "a"]
    assert [told for told in table.notes if note in told] or not note
    assert len(table.notes) == bool(note) + ("a decimal comma" in note and name == "t.csv" and "sep=" not in text)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_an_encoding_is_known_by_its_mark(table: Importer, encoding: str) -> None:
    mark = "\ufeff" if encoding.endswith("e") else ""
    text = decimals(WIDE).replace("alpha", "älphä – “x”")
    assert list(table.scores(table.write((mark + text).encode(encoding)))) == ["älphä – “x”", "beta"]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in LONG.rows(named=True))
    assert table.cells(table.write((mark + lines).encode(encoding), "t.jsonl")) == CELLS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (WIDE.replace("alpha", "café").encode("cp1252"), "t.csv, line 1 is not UTF-8 (in CP1252 it says"),
        (WIDE.replace("q3", "“q3”").encode("cp1252"), "t.csv, line 5 is not UTF-8"),
        (WIDE.replace("q3", "é").encode("latin1"), "save the file as UTF-8"),
        (WIDE.encode("utf-16-le"), "t.csv holds NUL bytes, as UTF-16 without its mark does; save it as UTF-8"),
        (b"\xff\xfea\x00b", "t.csv is not valid UTF-16"),
    ],
)
def test_an_encoding_that_cannot_be_told_is_refused(table: Importer, content: bytes, message: str) -> None:
    assert message in table.refused(table.write(content))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (["True", "False", "True"], [1, 0, 1]),
        (["TRUE", "FALSE", "TRUE"], [1, 0, 1]),
        (["true", "false", "1"], [1, 0, 1]),
        (["yes", "No", "YES"], [1, 0, 1]),
        (["1.0", " 0 ", "5e-1"], [1, 0, 0.5]),
        (['"0,5"', '",25"', '"2,5E-1"'], [0.5, 0.25, 0.25]),
        (["1", '"0,5"', "0"], [1, 0.5, 0]),
    ],
)
def test_numbers_and_truth_values_are_scores_as_programs_write_them(
    table: Importer, written: list[str], expected: list[float]
) -> None:
    rows = "".join(f"q{row},{value},1\n" for row, value in enumerate(written))
    assert table.scores(table.write(f"instance_id,a,b\n{rows}"))["a"] == expected


@pytest.mark.parametrize("word", ["NA", "N/A", "#N/A", "NaN", "nan", "null", "None", "<NA>", "", '""'])
def test_what_is_missing_is_unobserved_and_counted_by_llm(table: Importer, word: str) -> None:
    long = table.write(f"instance_id,llm_id,score\nq0,a,{word}\nq0,b,0\nq1,a,{word}\nq1,b,1\n")
    assert table.cells(long) == {("q0", "b"): 0, ("q1", "b"): 1}
    assert "2 scores are missing or NaN, left unobserved: 2 of a" in table.notes
    assert table.cells(table.write(f"instance_id,a,b\nq0,{word},0\nq1,{word},1\n")) == {("q0", "b"): 0, ("q1", "b"): 1}
    assert "2 scores are missing or NaN, left unobserved: 2 of a" in table.notes


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (["0,5", "0.5"], "score has numbers with a decimal comma and numbers with a decimal point in t.csv"),
        (["1,234.5", "0"], "score '1,234.5' in t.csv, row 0 is not a number"),
        (["0.5", "good"], "score 'good' in t.csv, row 1 is not a number"),
        (["63.7%", "5%"], "score '63.7%' in t.csv, row 0 is not a number"),
    ],
)
def test_numbers_that_cannot_be_told_are_refused(table: Importer, written: list[str], message: str) -> None:
    rows = "".join(f'q{row},a,"{value}"\n' for row, value in enumerate(written))
    assert message in table.refused(table.write(f"instance_id,llm_id,score\n{rows}"))


def test_costs_may_have_a_decimal_comma(table: Importer) -> None:
    data = table.read(table.write("instance_id;llm_id;score;cost\nq;a;0,5;0,001\nq;b;1;12\n"))
    assert data.interactions.costs is not None
    assert data.interactions.costs.data.tolist() == pytest.approx([0.001, 12])


def test_texts_keep_separators_quotes_and_line_ends(table: Importer) -> None:
    prompt = 'first, "second";\nthird\tlast'
    quoted = prompt.replace('"', '""')
    data = table.read(table.write(f'instance_id,prompt,a\n007,"{quoted}",1\n8,"x\r\ny",0\n'))
    assert data.prompts == [prompt, "x\r\ny"]
    assert data.instance_ids.ids == ("007", "8")


def test_names_of_columns_may_hold_commas(table: Importer) -> None:
    rows = 'subtask,model,"acc,none","acc_stderr,none"\nt0,a,0.5,0.1\nt0,b,1,0.1\n'
    mapped = r"instance_id=subtask,llm_id=model,score=acc\,none"
    assert table.cells(table.write(rows), columns=mapped) == {("t0", "a"): 0.5, ("t0", "b"): 1}
    wide = 'instance_id,"m,1","m,2","no, te",back\\slash\nq,1,0,x,0.5\n'
    assert table.scores(table.write(wide), ignore=r"no\, te") == {"m,1": [1], "m,2": [0], "back\\slash": [0.5]}
    assert table.scores(table.write(wide), ignore=r"no\, te, m\,2,back\\slash") == {"m,1": [1]}


# -- compressed text, JSON, Arrow, folders


@pytest.mark.parametrize("name", ["t.csv.gz", "t.csv.zst", "t.csv", "t.jsonl.gz", "t.jsonl.zst", "t.json.gz"])
@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_compressed_text_is_read(table: Importer, name: str, codec: str) -> None:
    text = LONG.write_csv() if ".csv" in name else LONG.write_ndjson()
    with pa.output_stream(str(table.folder / name), compression=codec) as stream:
        stream.write(text.encode())
    assert table.cells(table.folder / name) == CELLS


def test_compressed_text_that_is_cut_is_refused(table: Importer) -> None:
    content = gzip.compress(LONG.write_csv().encode() * 50)
    assert "t.csv.gz" in table.refused(table.write(content[: len(content) // 2], "t.csv.gz"))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (json.dumps(LONG.rows(named=True)), "t.json"),
        (json.dumps(LONG.rows(named=True), indent=2), "t.json"),
        ("\ufeff \n" + json.dumps(LONG.rows(named=True)), "t.jsonl"),
        (LONG.write_ndjson(), "t.json"),
        ("\ufeff" + LONG.write_ndjson(), "t.ndjson"),
        (LONG.write_ndjson().replace("\n", "\r\n\r\n"), "t.jsonl"),
    ],
)
def test_json_lines_and_arrays_are_read_whatever_the_name(table: Importer, text: str, name: str) -> None:
    assert table.cells(table.write(text, name)) == CELLS


ROW = '{"instance_id": "q%d", "llm_id": "a", "score": %s}\n'


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (["0.5", "NaN"], "line 2 is not valid JSON: NaN is not a number there, write null"),
        (["0.5", "Infinity"], "line 2 is not valid JSON: Infinity is not a number there"),
        (["0.5", "[1]"], "line 2 has a list for 'score', and a number stands in the lines before"),
        (["0.5", '{"acc": 1}'], "line 2 has an object for 'score', and a number stands in the lines before"),
        (["1", "null", "true"], "line 3 has true or false for 'score', and a number stands in the lines before"),
        (["0.5", '"cut'], "line 2 is not valid JSON: Unterminated string at character 47"),
    ],
)
def test_the_line_of_a_fault_in_json_is_named(table: Importer, scores: list[str], message: str) -> None:
    rows = [ROW % (row, score) for row, score in enumerate(scores)]
    assert f"t.jsonl, {message}" in table.refused(table.write("".join(rows), "t.jsonl"))
    if "valid" not in message:
        array = table.write(f"[{','.join(rows)}]", "t.json")
        assert f"t.json, {message.replace('line', 'row', 1)}" in table.refused(array)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ROW % (0, 1) + '{"instance_id": "q1", "ll', "t.json, line 2 is not valid JSON: Unterminated string"),
        ('{"instance_id": {"0": "q"}, "score": {"0": 1}}', "t.json is one object of 'instance_id', 'score', not rows"),
        ('{\n "schema": {},\n "data": []\n}', "pandas: to_json(orient='records')"),
        ("[]", "t.json is an empty array"),
        ("[[1, 2]]", "t.json, row 1 is not a JSON object"),
        ('[{"a": 1}', "t.json is not valid JSON"),
    ],
)
def test_json_that_is_no_table_is_told(table: Importer, text: str, message: str) -> None:
    assert message in table.refused(table.write(text, "t.json"))


def test_whole_numbers_in_json_are_ids(table: Importer) -> None:
    rows = '{"instance_id": 7, "llm_id": 1, "score": 1}\n{"instance_id": 8, "llm_id": "b", "score": true}\n'
    assert "line 2" in table.refused(table.write(rows, "t.jsonl"))  # a score is a number or true, not both
    assert table.cells(table.write(rows.replace("true", "0"), "t.jsonl")) == {("7", "1"): 1, ("8", "b"): 0}


@pytest.mark.parametrize("suffix", [".arrow", ".stream.arrow", ".feather", ".stream.ipc"])
def test_arrow_files_and_streams_are_read(table: Importer, tmp_path: Path, suffix: str) -> None:
    write_arrow(LONG.to_arrow(), tmp_path / f"t{suffix}")
    assert table.cells(tmp_path / f"t{suffix}") == CELLS


def test_what_is_no_arrow_is_refused(table: Importer) -> None:
    for content in (b"x" * 100, b"ARROW1", b"\xff\xff\xff\xff", gzip.compress(b"x")):
        assert "t.arrow" in table.refused(table.write(content, "t.arrow"))


def saved(folder: Path, arrow: pa.Table, n_files: int = 1, *, named: bool = True) -> None:
    """As `save_to_disk` writes a data set."""
    folder.mkdir(parents=True)
    names = [f"data-{at:05d}-of-{n_files:05d}.arrow" for at in range(n_files)]
    step = -(-arrow.num_rows // n_files)
    for at, name in enumerate(names):
        part = arrow.slice(at * step, step)
        with pa.ipc.new_stream(str(folder / name), part.schema) as writer:
            writer.write_table(part)
    state = {"_data_files": [{"filename": name} for name in names], "_fingerprint": "0"} if named else {}
    (folder / "state.json").write_text(json.dumps(state), "utf8")
    (folder / "dataset_info.json").write_text("{}", "utf8")


@pytest.mark.parametrize("n_files", [1, 3])
@pytest.mark.parametrize("named", [True, False])
def test_a_saved_data_set_of_hugging_face_is_read(table: Importer, tmp_path: Path, n_files: int, named: bool) -> None:
    saved(tmp_path / "saved", LONG.to_arrow(), n_files, named=named)
    assert table.cells(tmp_path / "saved") == CELLS
    assert (f"{n_files} files of saved are read as one table" in table.notes) == (n_files > 1)


def test_a_saved_dictionary_of_data_sets_gives_the_split(table: Importer, tmp_path: Path) -> None:
    saved(tmp_path / "saved" / "train", LONG.slice(0, 2).to_arrow())
    saved(tmp_path / "saved" / "test", LONG.slice(2).to_arrow())
    (tmp_path / "saved" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}', "utf8")
    data = table.read(tmp_path / "saved")
    assert data.instances["split"].to_list() == ["train", "test"]
    (tmp_path / "saved" / "test" / "state.json").write_text('{"_data_files": [{"filename": "../x"}]}', "utf8")
    with pytest.raises(DataError, match=r"names the file '\.\./x', which is not there"):
        table.read(tmp_path / "saved")


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl", ".arrow"])
@pytest.mark.parametrize("kept", [True, False])
def test_partitions_are_one_table_whose_folders_are_a_column(
    table: Importer, tmp_path: Path, suffix: str, kept: bool
) -> None:
    llms = {"lab/a b": "lab%2Fa%20b", "007": "007"}
    for number, (llm, folder) in enumerate(llms.items()):
        place = tmp_path / "parts" / f"llm_id={folder}"
        place.mkdir(parents=True)
        part = pl.DataFrame({"instance_id": [1, 2], "score": [float(number), 0.5]})
        part = part.with_columns(llm_id=pl.lit(llm)) if kept else part
        write = {".parquet": part.write_parquet, ".csv": part.write_csv, ".jsonl": part.write_ndjson}
        write.get(suffix, part.write_ipc)(place / f"part-0{suffix}")  # type: ignore[operator]
    (tmp_path / "parts" / "_SUCCESS").touch()
    (tmp_path / "parts" / ".hidden.csv").write_text("x", "utf8")
    (tmp_path / "parts" / "README.txt").write_text("x", "utf8")
    expected = {("1", "lab/a b"): 0.0, ("2", "lab/a b"): 0.5, ("1", "007"): 1.0, ("2", "007"): 0.5}
    assert table.cells(tmp_path / "parts") == expected
    assert "2 files of parts are read as one table" in table.notes


def test_a_folder_that_says_another_name_than_its_file_is_refused(table: Importer, tmp_path: Path) -> None:
    (tmp_path / "parts" / "llm_id=a").mkdir(parents=True)
    LONG.write_parquet(tmp_path / "parts" / "llm_id=a" / "0.parquet")
    assert "lies in llm_id=a, but says 'b' in its column llm_id" in table.refused(tmp_path / "parts")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "parts is a folder without a table; name one (.csv"),
        ({"a.csv": "instance_id,a\nq,1\n", "b.jsonl": "{}"}, "parts is a folder of several tables (a.csv, b.jsonl)"),
        (
            {"a.csv": "instance_id,a\nq,1\n", "b.csv": "x,y\n1,2\n"},
            "are not of one table: only one of them has a column",
        ),
    ],
)
def test_a_folder_of_other_things_is_refused(
    table: Importer, tmp_path: Path, files: dict[str, str], message: str
) -> None:
    (tmp_path / "parts").mkdir()
    for name, text in files.items():
        table.write(text, f"parts/{name}")
    assert message in table.refused(tmp_path / "parts")


def test_shards_of_the_hub_give_the_split(table: Importer, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    LONG.slice(0, 2).write_parquet(tmp_path / "data" / "train-00000-of-00001.parquet")
    LONG.slice(2).write_parquet(tmp_path / "data" / "test-00000-of-00001.parquet")
    data = table.read(tmp_path / "data")
    assert dict(zip(data.instance_ids, data.instances["split"], strict=True)) == {"q0": "train", "q1": "test"}


@pytest.mark.parametrize("name", ["t.xlsx", "t.ods", "t.pdf", "t"])
def test_what_is_no_table_is_told_by_its_name(table: Importer, name: str) -> None:
    message = table.refused(table.write("x", name))
    assert "a table is .csv" in message
    assert ("save the sheet as CSV" in message) == (name in ("t.xlsx", "t.ods"))


# -- types of columns


TYPES: dict[str, Callable[[], pl.Series]] = {
    "int8": lambda: pl.Series([1, 0, 1], dtype=pl.Int8),
    "uint64": lambda: pl.Series([1, 0, 1], dtype=pl.UInt64),
    "float32": lambda: pl.Series([1, 0, 1], dtype=pl.Float32),
    "boolean": lambda: pl.Series([True, False, True]),
    "text": lambda: pl.Series(["1", "0", "1"]),
    "categorical": lambda: pl.Series(["1", "0.0", "1"], dtype=pl.Categorical),
    "enum": lambda: pl.Series(["yes", "no", "yes"], dtype=pl.Enum(["no", "yes"])),
    "decimal": lambda: pl.Series([Decimal("1.00"), Decimal("0.00"), Decimal("1.00")]),
}


@pytest.mark.parametrize("kind", TYPES)
def test_scores_of_any_type_are_read(table: Importer, tmp_path: Path, kind: str) -> None:
    LONG.with_columns(score=TYPES[kind]()).write_parquet(tmp_path / "t.parquet")
    assert table.cells(tmp_path / "t.parquet") == {("q0", "a"): 1, ("q0", "b"): 0, ("q1", "a"): 1}


@pytest.mark.parametrize(
    "ids",
    [
        pl.Series([7, 7, 10]),
        pl.Series([7, 7, 10], dtype=pl.UInt8),
        pl.Series([7.0, 7.0, 10.0]),
        pl.Series([Decimal("7.0"), Decimal("7.0"), Decimal("10.0")]),
        pl.Series(["7", "7", "10"], dtype=pl.Categorical),
    ],
)
def test_ids_that_are_whole_numbers_are_text(table: Importer, tmp_path: Path, ids: pl.Series) -> None:
    LONG.with_columns(instance_id=ids).write_parquet(tmp_path / "t.parquet")
    assert table.read(tmp_path / "t.parquet").instance_ids.ids == ("7", "10")


@pytest.mark.parametrize("ids", [[7.5, 7.5, 1.0], [[1], [1], [2]], [True, True, False]])
def test_ids_that_are_no_names_are_refused(table: Importer, tmp_path: Path, ids: list[Any]) -> None:
    LONG.with_columns(instance_id=pl.Series(ids)).write_parquet(tmp_path / "t.parquet")
    assert "write" in table.refused(tmp_path / "t.parquet")


# -- identity of an instance


def rows(*of: tuple[Any, ...], columns: str = "instance_id,llm_id,score,task,prompt") -> str:
    return "\n".join([columns, *(",".join(map(str, row)) for row in of)]) + "\n"


def test_ids_that_tasks_count_anew_are_other_instances(table: Importer) -> None:
    text = rows((0, "a", 1, "anatomy", "bones"), (0, "a", 0, "law", "torts"), (1, "a", 1, "law", "wills"))
    assert table.cells(table.write(text)) == {("anatomy.0", "a"): 1, ("law.0", "a"): 0, ("law.1", "a"): 1}
    assert any("1 of 2 instance ids stand in more than one task, such as '0'" in note for note in table.notes)
    assert table.read(table.write(text)).prompts == ["bones", "torts", "wills"]


def test_without_prompts_an_id_in_two_tasks_is_two_instances(table: Importer) -> None:
    text = rows((0, "a", 1, "x"), (0, "b", 0, "y"), columns="instance_id,llm_id,score,task")
    assert list(table.cells(table.write(text))) == [("x.0", "a"), ("y.0", "b")]


def test_ids_are_joined_to_tasks_so_that_none_become_one(table: Importer) -> None:
    text = rows(("b.c", "a", 1, "a", "p"), ("b.c", "a", 0, "x", "q"), ("c", "a", 0, "a.b", "r"))
    assert list(table.cells(table.write(text))) == [("a/b.c", "a"), ("x/b.c", "a"), ("a.b/c", "a")]


def test_ids_may_be_counted_anew_in_benchmarks(table: Importer) -> None:
    columns = "instance_id,llm_id,score,benchmark,task,prompt"
    text = rows((0, "a", 1, "x", "easy", "p"), (0, "a", 0, "y", "easy", "q"), columns=columns)
    assert list(table.cells(table.write(text))) == [("x.0", "a"), ("y.0", "a")]


def test_one_prompt_in_two_tasks_is_one_instance_with_a_note(table: Importer) -> None:
    text = rows((0, "a", 1, "x", "p"), (0, "b", 0, "y", "p"))
    assert list(table.cells(table.write(text))) == [("0", "a"), ("0", "b")]
    assert "instance_id '0' came with more than one task; the first in alphabetical order stands" in table.notes


def test_one_id_with_two_prompts_is_refused(table: Importer) -> None:
    text = rows((0, "a", 1, "x", "bones"), (0, "b", 0, "x", "torts"), (1, "a", 1, "x", "p"), (1, "b", 1, "x", "q"))
    message = table.refused(table.write(text))
    assert "instance_id '0' and 1 more came with two prompts in t.csv: 'bones' and 'torts'" in message
    assert len(table.cells(table.write(text), ignore="prompt")) == 4


def test_in_a_wide_table_too_ids_may_be_counted_anew(table: Importer) -> None:
    text = "instance_id,task,prompt,a,b\n0,x,p,1,0\n0,y,q,0,1\n"
    assert table.scores(table.write(text)) == {"a": [1, 0], "b": [0, 1]}
    assert table.read(table.write(text)).instance_ids.ids == ("x.0", "y.0")
    assert "came with two prompts" in table.refused(table.write(text.replace("y,", "x,")))
    assert "instance_id '0' occurs twice" in table.refused(table.write("instance_id,a\n0,1\n0,0\n"))


def test_llms_that_share_no_instance_are_told(table: Importer) -> None:
    text = rows(*((row, "ab"[row % 2], 1, "x", f"p{row}") for row in range(20)))
    table.read(table.write(text))
    assert any("only 0 of 20 instances have scores of two LLMs" in note for note in table.notes)


def test_a_scale_is_never_advised_for_row_numbers_nor_a_column_to_ignore_for_a_score(table: Importer) -> None:
    assert table.scores(table.write("instance_id,rank,a\nq0,0,1\nq1,1,0\nq2,2,1\n")) == {"a": [1, 0, 1]}
    assert "only row numbers in column 'rank'" in table.refused(table.write("instance_id,rank\nq0,0\nq1,1\nq2,2\n"))
    assert "ignore" not in table.refused(table.write("instance_id,llm_id,score\nq0,a,good\n"))
    assert "ignore=a" in table.refused(table.write("instance_id,a\nq0,good\n"))
