"""Each published layout, in small."""

import csv
import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recroute.cli.app import run
from recroute.data import Dataset, read_dataset, write_dataset
from recroute.data.sources import import_dataset, layout_names, make_source
from recroute.data.sources import source as source_module
from recroute.errors import DataError, RecrouteError, UnknownNameError

NAN = float("nan")


def cells(dataset: Dataset) -> dict[tuple[str, str], float]:
    rows, columns = dataset.interactions.coordinates()
    ids, llms = dataset.instance_ids.ids, dataset.llm_ids.ids
    scores = dataset.interactions.scores.data
    return {(ids[i], llms[j]): float(s) for i, j, s in zip(rows, columns, scores, strict=True)}


def write_table(frame: pl.DataFrame, file: Path) -> None:
    write: dict[str, Callable[[Path], object]] = {
        ".csv": frame.write_csv,
        ".tsv": lambda path: frame.write_csv(path, separator="\t"),
        ".parquet": frame.write_parquet,
        ".jsonl": frame.write_ndjson,
        ".ndjson": frame.write_ndjson,
    }
    write.get(file.suffix, frame.write_ipc)(file)


@pytest.fixture
def imported(tmp_path: Path) -> Callable[..., Dataset]:
    def run(layout: str, source: Path, **settings: Any) -> Dataset:
        run.notes = import_dataset(layout, source, tmp_path / "imported", **settings).notes  # type: ignore[attr-defined]
        return read_dataset(tmp_path / "imported")

    return run


# -- table


def test_long_table_keeps_three_states_costs_and_ids(tmp_path: Path, imported: Callable[..., Dataset]) -> None:
    (tmp_path / "t.csv").write_text(
        "qid,model,score,cost,prompt,task\n007,b,0,0.5,Why?,x\n007,a,0.25,,Why?,x\n8,a,,0.1,How?,y\n8,b,1,0.25,How?,y\n",
        "utf8",
    )
    data = imported("table", tmp_path / "t.csv", columns="instance_id=qid,llm_id=model")
    assert cells(data) == {("007", "b"): 0.0, ("007", "a"): 0.25, ("8", "b"): 1.0}  # the empty score is unobserved
    assert data.llms["llm_id"].to_list() == ["b", "a"]  # in the order of their first appearance
    assert data.instances.rows(named=True)[1] == {"instance_id": "8", "prompt": "How?", "task": "y"}
    assert data.interactions.costs is not None
    np.testing.assert_array_equal(data.interactions.costs.data, np.float32([0.5, NAN, 0.25]))


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".jsonl", ".arrow"])
def test_wide_table_in_every_format(tmp_path: Path, imported: Callable[..., Dataset], suffix: str) -> None:
    frame = pl.DataFrame({"instance_id": ["q1", "q2"], "task": ["t", "t"], "a": [1.0, None], "b": [0.0, 0.5]})
    file = tmp_path / f"wide{suffix}"
    write_table(frame, file)
    assert cells(imported("table", file)) == {("q1", "a"): 1.0, ("q1", "b"): 0.0, ("q2", "b"): 0.5}


LONG = {"qid": ["007", "007", "8"], "model": ["b", "a", "b"], "score": [0.0, 25.0, 100.0], "cost": [0.5, None, 0.25]}
MORE = {"prompt": ["Why?", "Why?", "How?"], "kind": ["x", "x", "y"], "split": ["train", "train", "test"]}
PRICES = {
    "family": ["B", "A", "B"],
    "n_params_b": [7, 70, 7],
    "price_in": [0.1, 1.0, 0.1],
    "price_out": [0.2, 2.0, 0.2],
}


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".jsonl", ".ndjson", ".arrow", ".feather", ".ipc"])
def test_long_table_in_every_format_keeps_all_it_says(
    tmp_path: Path, imported: Callable[..., Dataset], suffix: str
) -> None:
    file = tmp_path / f"long{suffix}"
    write_table(pl.DataFrame(LONG | MORE | PRICES), file)
    data = imported("table", file, columns="instance_id=qid, llm_id=model, task=kind", scale="percent")
    assert cells(data) == {("007", "b"): 0.0, ("007", "a"): 0.25, ("8", "b"): 1.0}
    assert data.instances.rows(named=True) == [
        {"instance_id": "007", "prompt": "Why?", "task": "x", "split": "train"},
        {"instance_id": "8", "prompt": "How?", "task": "y", "split": "test"},
    ]
    assert data.llms.rows() == [("b", "B", 7.0, 0.1, 0.2), ("a", "A", 70.0, 1.0, 2.0)]
    assert data.interactions.costs is not None
    np.testing.assert_array_equal(data.interactions.costs.data, np.float32([0.5, NAN, 0.25]))


def test_wide_table_is_scaled_as_a_whole_with_costs_beside_it(tmp_path: Path, imported: Callable[..., Dataset]) -> None:
    (tmp_path / "w.tsv").write_text("q\ta\tb\tb|cost\tnote\nq1\t10\t30\t0.5\tfine\nq2\t\t20\t\tlate\n", "utf8")
    data = imported("table", tmp_path / "w.tsv", columns="instance_id=q", scale="minmax", ignore="note")
    assert cells(data) == {("q1", "a"): 0.0, ("q1", "b"): 1.0, ("q2", "b"): 0.5}
    assert data.interactions.costs is not None
    np.testing.assert_array_equal(data.interactions.costs.data, np.float32([NAN, 0.5, NAN]))
    with pytest.raises(DataError, match=r"note 'fine' in w.tsv, row 0 is not a number.*with ignore=note"):
        imported("table", tmp_path / "w.tsv", columns="instance_id=q", scale="minmax")


@pytest.mark.parametrize(("scale", "expected"), [("percent", [0.5, 0.8]), ("minmax", [0.0, 1.0])])
def test_scaling(tmp_path: Path, imported: Callable[..., Dataset], scale: str, expected: list[float]) -> None:
    (tmp_path / "t.csv").write_text("instance_id,llm_id,score\nq,a,50\nq,b,80\n", "utf8")
    data = imported("table", tmp_path / "t.csv", scale=scale)
    np.testing.assert_allclose(data.interactions.scores.data, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("instance_id,llm_id,score\nq,a,50\n", "score 50 for instance 'q', llm 'a' is outside [0, 1]; scale with"),
        ("instance_id,llm_id,score\nq,a,x\n", "score 'x' in t.csv, row 0 is not a number; fix that row"),
        ("instance_id,llm_id,score\nq,a,1\nq,a,0\n", "instance 'q' and llm 'a' occur twice (1 rows too many in all)"),
        ("instance_id,llm_id,score\n,a,1\n", "instance_id is missing in t.csv, row 0; fill it in"),
        ("instance_id,llm_id,score\nq,a,\n", "imported holds no score; nothing was written"),
        ("instance_id,llm_id,score,cost\nq,a,1,-2\n", "cost -2 for instance 'q', llm 'a' is not a finite USD amount"),
        ("question,llm_id,score\nq,a,1\n", "t.csv has no column 'instance_id' (there: question, llm_id, score)"),
        ("instance_id\nq\n", "t.csv is neither long (llm_id, score) nor has it a column for an LLM"),
        ("", "is an empty file"),
    ],
)
def test_bad_table_is_refused_in_one_line_and_nothing_is_written(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text, "utf8")
    with pytest.raises(DataError) as error:
        import_dataset("table", tmp_path / "t.csv", tmp_path / "imported")
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


# -- pickled layouts


def router_dataset(path: Path, *, clash: bool = False) -> None:
    """RouterEval's layout: three instances, two pools that share LLM "b"."""

    def pool(llms: list[str], scores: list[list[float]]) -> dict[str, Any]:
        block = np.array(scores)
        data = {"train_score": block[:1], "val_score": block[1:2], "test_score": block[2:]}
        return {"data": data, "model": np.array(llms)}

    content = {
        "easy": {
            3: {
                "all_strong": pool(["a", "b"], [[1, 0], [0, 1], [0.5, 1]]),
                "all_weak": pool(["b", "c"], [[1 if clash else 0, 0], [1, 1], [1, 0]]),
            }
        },
        "hard": {},
        "split_index": {"train_indices": np.array([2]), "val_indices": np.array([0]), "test_indices": np.array([1])},
        "embedding": {f"{part}_embed": np.eye(3)[[i]] for i, part in enumerate(("train", "val", "test"))},
        "prompt": {f"{part}_prompt": np.array([f"ask {part}"]) for part in ("train", "val", "test")},
    }
    path.write_bytes(pickle.dumps(content))


def test_router_dataset_joins_pools_and_keeps_split_and_pools(tmp_path: Path, imported: Callable[..., Dataset]) -> None:
    router_dataset(tmp_path / "arc_router_dataset.pkl")
    data = imported("routereval", tmp_path)
    assert data.instances.select("instance_id", "split", "prompt", "task", "benchmark").rows() == [
        ("arc.2", "train", "ask train", "arc", "arc"),
        ("arc.0", "valid", "ask val", "arc", "arc"),
        ("arc.1", "test", "ask test", "arc", "arc"),
    ]
    np.testing.assert_array_equal(data.interactions.dense(), np.float32([[1, 0, 0], [0, 1, 1], [0.5, 1, 0]]))
    np.testing.assert_array_equal(data.embeddings, np.eye(3, dtype=np.float32))
    assert data.pools is not None
    assert data.pools.rows()[:2] == [("arc", "all_strong", 2, "a"), ("arc", "all_strong", 2, "b")]
    write_dataset(data, tmp_path / "again")
    again = read_dataset(tmp_path / "again")
    assert cells(again) == cells(data)
    assert again.pools is not None
    assert again.pools.equals(data.pools)


def test_vectors_are_written_in_half_precision_if_asked(tmp_path: Path) -> None:
    router_dataset(tmp_path / "arc_router_dataset.pkl")
    for more, kind in (([], np.float32), (["--float16"], np.float16)):
        assert run(["data", "import", "routereval", str(tmp_path), str(tmp_path / "made"), "--quiet", *more]) == 0
        assert np.load(tmp_path / "made" / "embeddings.npz")["embedding"].dtype == kind


def test_pools_that_disagree_are_refused(tmp_path: Path) -> None:
    router_dataset(tmp_path / "arc_router_dataset.pkl", clash=True)
    with pytest.raises(DataError, match=r"LLM 'b' scores 0 and 1 on row 0 in two pools"):
        import_dataset("routereval", tmp_path, tmp_path / "imported")


def test_a_packed_router_dataset_is_named_with_the_way_to_unpack_it(tmp_path: Path) -> None:
    (tmp_path / "router_dataset.zip").write_bytes(b"PK")
    for source in (tmp_path, tmp_path / "router_dataset.zip"):
        with pytest.raises(DataError, match=r"router_dataset.zip is still packed; unpack it with python -m zipfile -e"):
            import_dataset("routereval", source, tmp_path.parent / "imported")


def test_leaderboards_are_joined_by_llm_name(tmp_path: Path, imported: Callable[..., Dataset]) -> None:
    for folder in ("leaderboard_score", "leaderboard_prompt", "leaderboard_embed/leaderboard_old_embed"):
        (tmp_path / folder).mkdir(parents=True)
    old = {"model": ["a", "b"], "data": {"harness_gsm8k_5": {"correctness": np.array([[1.0, NAN], [0.0, 0.5]])}}}
    new = {"model": ["b", "c"], "data": {"bbh_snarks": {"correctness": np.array([[1, 0]])}}}
    (tmp_path / "leaderboard_score/leaderboard_old.pkl").write_bytes(pickle.dumps(old, protocol=2))
    (tmp_path / "leaderboard_score/leaderboard_new.pkl").write_bytes(pickle.dumps(new, protocol=5))
    prompts = {"harness_gsm8k_5": np.array(["1 + 1", "2 + 2"], dtype=object)}
    (tmp_path / "leaderboard_prompt/leaderboard_old_prompt.pkl").write_bytes(pickle.dumps(prompts))
    data = imported("routereval", tmp_path)
    assert cells(data) == {
        ("harness_gsm8k_5.0", "a"): 1.0,
        ("harness_gsm8k_5.1", "a"): 0.0,
        ("harness_gsm8k_5.1", "b"): 0.5,
        ("bbh_snarks.0", "b"): 1.0,
        ("bbh_snarks.0", "c"): 0.0,
    }
    assert data.instances["benchmark"].to_list() == ["gsm8k", "gsm8k", "bbh"]
    assert data.prompts == ["1 + 1", "2 + 2", ""]


@pytest.mark.parametrize("pickled", [False, True])
def test_routerbench_prompts_are_parsed_and_costs_kept(
    tmp_path: Path, imported: Callable[..., Dataset], pickled: bool
) -> None:
    import pandas as pd

    frame = pd.DataFrame(
        {
            "sample_id": ["s1", "s2"],
            "prompt": ["['Hello.', 'And then?']", "plain [text]"],
            "eval_name": ["mbpp", "mmlu"],
            "m/x": [0.25, None],
            "m/x|model_response": ["'yes'", "no"],
            "m/x|total_cost": [0.001, 0.002],
            "oracle_model_to_route_to": ["m/x", "m/x"],
        }
    ).astype({"sample_id": object, "prompt": object, "eval_name": object, "m/x|model_response": object})
    frame["oracle_model_to_route_to"] = frame["oracle_model_to_route_to"].astype(object)
    frame.columns = pd.Index(list(frame.columns), dtype=object)
    file = tmp_path / ("r.pkl" if pickled else "r.csv")
    frame.to_pickle(file) if pickled else frame.to_csv(file)
    data = imported("routerbench", file)
    assert cells(data) == {("s1", "m/x"): 0.25}
    assert data.prompts == ["Hello.\n\nAnd then?", "plain [text]"]
    assert data.tasks.tolist() == ["mbpp", "mmlu"]
    assert data.interactions.costs is not None
    assert data.interactions.costs.data == pytest.approx([0.001])


# -- the others


def test_embedllm_keeps_its_split_and_finds_model_names(tmp_path: Path, imported: Callable[..., Dataset]) -> None:
    for part, row in (("train", "1,Q1,0,math,1"), ("val", "2,Q2,1,math,0"), ("test", "3,Q3,0,code,0")):
        (tmp_path / f"{part}.csv").write_text(f"prompt_id,prompt,model_id,category,label\n{row}\n", "utf8")
    (tmp_path / "model_order.csv").write_text("model_id,model_name\n0,llama\n1,qwen\n", "utf8")
    data = imported("embedllm", tmp_path)
    assert cells(data) == {("1", "llama"): 1.0, ("2", "qwen"): 0.0, ("3", "llama"): 0.0}
    assert data.instances["split"].to_list() == ["train", "valid", "test"]
    assert data.tasks.tolist() == ["math", "math", "code"]


def test_embedllm_without_names_and_categories(tmp_path: Path, imported: Callable[..., Dataset]) -> None:
    (tmp_path / "train.csv").write_text("prompt_id,prompt,model_id,category_id,label\n7,Q,3,12,1\n7,Q,4,12,0\n", "utf8")
    data = imported("embedllm", tmp_path / "train.csv")
    assert cells(data) == {("7", "3"): 1.0, ("7", "4"): 0.0}
    assert data.tasks.tolist() == ["12"]
    assert data.instances["source_split"].to_list() == ["train"]  # one part alone is no split


def test_embedllm_instance_in_two_parts_is_refused(tmp_path: Path) -> None:
    for part in ("train", "test"):
        (tmp_path / f"{part}.csv").write_text("prompt_id,prompt,model_id,category,label\n1,Q,0,math,1\n", "utf8")
    with pytest.raises(DataError, match=r"instance_id '1' stands in two parts of the split"):
        import_dataset("embedllm", tmp_path, tmp_path / "imported")


def llmrouter_row(query: str, llm: str, score: float | None, **more: Any) -> str:
    row = {"task_name": "t", "query": query, "model_name": llm, "performance": score, **more}
    return json.dumps(row, ensure_ascii=False) + "\n"


def test_llmrouter_reads_odd_line_ends_prices_and_splits(tmp_path: Path, imported: Callable[..., Dataset]) -> None:
    tokens = {"input_tokens": 1000, "output_tokens": 500}
    (tmp_path / "routing_train.jsonl").write_text(
        llmrouter_row("one\u2028line", "small", 0.5, embedding_id=0, **tokens)
        + llmrouter_row("one\u2028line", "large", None, embedding_id=0, **tokens),
        encoding="utf8",
    )
    (tmp_path / "routing_test.jsonl").write_text(
        llmrouter_row("two", "small", 0, embedding_id=1, **tokens) + llmrouter_row("two", "large", 1, embedding_id=1),
        "utf8",
    )
    prices = {"small": {"size": "7B", "feature": "fast", "input_price": 0.2, "output_price": 0.4}}
    (tmp_path / "llms.json").write_text(json.dumps(prices), "utf8")
    data = imported("llmrouter", tmp_path)
    assert cells(data) == {("t.1", "small"): 0.0, ("t.1", "large"): 1.0, ("t.0", "small"): 0.5}
    assert dict(zip(data.instances["instance_id"], data.prompts or [], strict=True))["t.0"] == "one\u2028line"
    assert set(data.instances["split"]) == {"train", "test"}
    small = data.llms.filter(pl.col("llm_id") == "small").row(0, named=True)
    assert (small["n_params_b"], small["price_in"], small["price_out"]) == (7.0, 0.2, 0.4)
    assert data.interactions.costs is not None
    cost = 1000 * 0.2 / 1e6 + 500 * 0.4 / 1e6
    assert data.interactions.costs.data[~np.isnan(data.interactions.costs.data)] == pytest.approx([cost, cost])


def test_llmrouter_takes_prices_from_a_named_file(tmp_path: Path, imported: Callable[..., Dataset]) -> None:
    tokens = {"input_tokens": 2_000_000, "output_tokens": 1_000_000}
    rows = [llmrouter_row("one", llm, 1, embedding_id=0, **tokens) for llm in ("a", "b")]
    (tmp_path / "r.jsonl").write_text("".join(rows), "utf8")
    prices = {"a": {"size": "350M", "input_price": 0.1, "output_price": 0.3}, "c": {"input_price": 1}}
    (tmp_path / "p.json").write_text(json.dumps(prices), "utf8")
    data = imported("llmrouter", tmp_path / "r.jsonl", prices=str(tmp_path / "p.json"))
    assert data.interactions.costs is not None
    np.testing.assert_array_equal(data.interactions.costs.data, np.float32([2 * 0.1 + 1 * 0.3, NAN]))
    assert data.llms.select("llm_id", "n_params_b", "price_in").rows() == [("a", 0.35, 0.1), ("b", None, None)]
    assert imported.notes == ("no price for 1 of 2 LLMs, b first",)  # type: ignore[attr-defined]
    with pytest.raises(DataError, match="no prices at"):
        imported("llmrouter", tmp_path / "r.jsonl", prices=str(tmp_path / "q.json"))


def test_llmrouter_queries_are_told_apart_by_text_if_ids_mix_them(
    tmp_path: Path, imported: Callable[..., Dataset]
) -> None:
    lines = [llmrouter_row("one", "a", 1, embedding_id=0), llmrouter_row("two", "a", 0, embedding_id=0)]
    (tmp_path / "r.jsonl").write_text("".join(lines), "utf8")
    assert sorted(cells(imported("llmrouter", tmp_path / "r.jsonl")).values()) == [0.0, 1.0]
    assert "told apart by their text" in imported.notes[0]  # type: ignore[attr-defined]


def test_llmrouterbench_newest_run_wins_and_null_is_unobserved(
    tmp_path: Path, imported: Callable[..., Dataset]
) -> None:
    folder = tmp_path / "bench/aime/test/m1"
    folder.mkdir(parents=True)
    for stamp, score in (("20250801_120000", 0.0), ("20250901_120000", 1.0)):
        records = [
            {"index": 1, "origin_query": "Q1", "prompt": "long Q1", "score": score, "cost": 0.5},
            {"index": 2, "origin_query": "Q2", "prompt": "long Q2", "score": None, "cost": 0.5},
        ]
        content = {"model_name": "m1", "dataset_name": "aime", "split": "test", "records": records}
        (folder / f"aime-test-m1-{stamp}.json").write_text(json.dumps(content), "utf8")
    data = imported("llmrouterbench", tmp_path / "bench")
    assert cells(data) == {("aime.test.1", "m1"): 1.0}
    assert data.prompts == ["Q1", "Q2"]
    assert data.instances["source_split"].to_list() == ["test", "test"]  # nothing to train on: no split of ours
    assert "older runs left out: 1" in imported.notes[0]  # type: ignore[attr-defined]


# -- what every import says


def test_instances_of_a_task_with_one_prompt_are_noted(tmp_path: Path, imported: Callable[..., Dataset]) -> None:
    rows = [("q1", "t", "Why?"), ("q2", "t", "Why?"), ("q3", "u", "Why?"), ("q4", "u", ""), ("q5", "u", "")]
    frame = pl.DataFrame(rows, ["instance_id", "task", "prompt"], orient="row").with_columns(
        llm_id=pl.lit("m"), score=1
    )
    frame.write_parquet(tmp_path / "t.parquet")
    imported("table", tmp_path / "t.parquet")
    assert imported.notes == (  # type: ignore[attr-defined]
        "2 of 5 instances have the prompt of another one of their task (t), such as q1 and q2: was a passage left out, "
        "or is it the same question twice?",
    )


@pytest.mark.parametrize(("n_shared", "noted"), [(0, True), (1, True), (4, False), (20, False)])
def test_llms_that_share_hardly_an_instance_are_noted(
    tmp_path: Path, imported: Callable[..., Dataset], n_shared: int, noted: bool
) -> None:
    rows = [(f"q{i}", "a", 1.0) for i in range(20)] + [(f"q{i + 20 - n_shared}", "b", 0.0) for i in range(20)]
    pl.DataFrame(rows, ["instance_id", "llm_id", "score"], orient="row").write_parquet(tmp_path / "t.parquet")
    n = imported("table", tmp_path / "t.parquet").n_instances
    said = f"only {n_shared} of {n} instances have scores of two LLMs, so LLMs can hardly be compared"
    assert any(note.startswith(said) for note in imported.notes) == noted  # type: ignore[attr-defined]


# -- the registry and the folder


def test_unknown_layouts_and_settings_are_named() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'embedllm'"):
        make_source("embedlm")
    with pytest.raises(UnknownNameError, match="unknown setting 'metric' of embedllm"):
        make_source("embedllm", metric="acc")
    assert set(source_module.BUILT_IN) <= set(layout_names())


def test_third_party_layout_is_found_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint

    from recroute.util.registry import Registry

    entry = EntryPoint("mine", "recroute.data.sources.table:Table", "recroute.sources")
    monkeypatch.setattr("recroute.util.registry.entry_points", lambda group: [entry] if group == entry.group else [])
    assert Registry("layout", "recroute.sources", {}).get("mine").layout == "table"


def test_foreign_folder_and_the_source_itself_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("instance_id,llm_id,score\nq,a,1\n", "utf8")
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters/one.txt").write_text("dear", "utf8")
    for destination in (tmp_path / "letters", tmp_path):
        with pytest.raises(
            RecrouteError, match=r"letters exists and was not written by recroute|holds the source itself"
        ):
            import_dataset("table", tmp_path / "t.csv", destination)
    assert (tmp_path / "letters/one.txt").read_text("utf8") == "dear"


def test_interrupted_import_leaves_nothing_that_looks_finished(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("instance_id,llm_id,score\nq,a,1\n", "utf8")

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_dataset("table", tmp_path / "t.csv", tmp_path / "imported", progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


# -- real files


@pytest.mark.realdata
def test_routereval_leaderboard_equals_openllm1_cell_by_cell(real: Path, imported: Callable[..., Dataset]) -> None:
    data = imported("routereval", real / "routereval_layout")
    whole = read_dataset(real / "openllm1")
    _compare_by_prompt(data, whole, n_cells=1075 * 300)


@pytest.mark.realdata
def test_routereval_router_dataset_equals_openllm1_cell_by_cell(real: Path, imported: Callable[..., Dataset]) -> None:
    data = imported("routereval", real / "routereval_layout/router_dataset/arc_router_dataset.pkl")
    _compare_by_prompt(data, read_dataset(real / "openllm1"), n_cells=245 * 2504)


def _compare_by_prompt(data: Dataset, whole: Dataset, n_cells: int) -> None:
    """Prompts of openllm1 are distinct within what these layouts have of it."""
    row_of = {prompt: row for row, prompt in enumerate(whole.prompts or [])}
    rows = [row_of[prompt] for prompt in data.prompts or []]
    columns = whole.llm_ids.to_index(data.llm_ids)
    ours, theirs = data.interactions.dense(), whole.interactions.dense()[np.ix_(rows, columns)]
    assert ours.size == n_cells
    np.testing.assert_array_equal(ours, theirs)
    assert data.embeddings is not None
    assert whole.embeddings is not None
    np.testing.assert_array_equal(data.embeddings, whole.embeddings[rows])


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("layout", "file", "shape", "n_records"),
    [
        ("embedllm", "embedllm", (60, 12), 609),
        ("llmrouter", "llmrouter_routing.jsonl", (40, 9), 360),
        ("llmrouterbench", "llmrouterbench", (40, 3), 120),
        ("lm-eval", "lm_eval", (64, 3), 192),
        ("routerbench", "routerbench_mbpp_25.csv", (25, 11), 275),
    ],
)
def test_published_samples(
    real: Path, imported: Callable[..., Dataset], layout: str, file: str, shape: tuple[int, int], n_records: int
) -> None:
    data = imported(layout, real / "formats" / file)
    assert (data.n_instances, data.n_llms) == shape
    assert data.interactions.n_observed == n_records
    assert all(data.prompts or [None])


SAMPLES = {
    "embedllm": "formats/embedllm",
    "llmrouter": "formats/llmrouter_routing.jsonl",
    "llmrouterbench": "formats/llmrouterbench",
    "lm-eval": "formats/lm_eval",
    "routerbench": "formats/routerbench_mbpp_25.csv",
}


def published_rows(layout: str, place: Path) -> Iterator[tuple[str, str, float, float | None, str]]:
    """Instance, LLM, score, cost and task, read with csv and json alone."""
    if layout == "embedllm":
        for part in ("train", "val", "test"):
            with (place / f"{part}.csv").open(newline="", encoding="utf8") as file:
                for row in csv.DictReader(file):
                    yield row["prompt_id"], row["model_name"], float(row["label"]), None, row["category"]
    elif layout == "routerbench":
        with place.open(newline="", encoding="utf8") as file:
            for row in csv.DictReader(file):
                for llm in (name.removesuffix("|total_cost") for name in row if name.endswith("|total_cost")):
                    cost = float(row[f"{llm}|total_cost"])
                    yield row["sample_id"], llm, float(row[llm]), cost, row["eval_name"]
    elif layout == "llmrouter":
        for line in place.read_text("utf8").split("\n")[:-1]:
            row = json.loads(line)
            instance = f"{row['task_name']}.{row['embedding_id']}"
            yield instance, row["model_name"], row["performance"], None, row["task_name"]
    elif layout == "llmrouterbench":
        for run in map(json.loads, (path.read_text("utf8") for path in place.rglob("*.json"))):
            for row in run["records"]:
                instance = f"{run['dataset_name']}.{run['split']}.{row['index']}"
                yield instance, run["model_name"], row["score"], row["cost"], run["dataset_name"]
    else:
        for path in place.rglob("samples_*.jsonl"):
            (results,) = path.parent.glob("results_*.json")
            for row in map(json.loads, path.read_text("utf8").split("\n")[:-1]):
                if row["filter"] == "flexible-extract":
                    llm = json.loads(results.read_text("utf8"))["model_name"]
                    yield f"gsm8k.{row['doc_hash'][:16]}", llm, row["exact_match"], None, "gsm8k"


@pytest.mark.realdata
@pytest.mark.parametrize("layout", SAMPLES)
def test_every_published_row_survives(real: Path, imported: Callable[..., Dataset], layout: str) -> None:
    data = imported(layout, real / SAMPLES[layout])
    rows = list(published_rows(layout, real / SAMPLES[layout]))
    assert len(rows) == data.interactions.n_observed
    assert cells(data) == {(instance, llm): float(np.float32(score)) for instance, llm, score, _, _ in rows}
    assert dict(zip(data.instance_ids, data.tasks, strict=True)) == {row[0]: row[4] for row in rows}
    costs = {(instance, llm): cost for instance, llm, _, cost, _ in rows if cost is not None}
    assert (data.interactions.costs is not None) == bool(costs)
    if data.interactions.costs is not None:
        pairs = zip(cells(data), data.interactions.costs.data, strict=True)
        assert {pair: float(cost) for pair, cost in pairs} == pytest.approx(costs, rel=1e-6)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("layout", "place"),
    [*SAMPLES.items(), ("routereval", "routereval_layout"), ("routereval", "routereval_layout/router_dataset")],
)
def test_the_native_folder_changes_nothing(
    real: Path, tmp_path: Path, imported: Callable[..., Dataset], layout: str, place: str
) -> None:
    data = imported(layout, real / place)
    write_dataset(data, tmp_path / "again")
    again = read_dataset(tmp_path / "again")
    assert cells(again) == cells(data)
    assert (data.interactions.costs is None) == (again.interactions.costs is None)
    if data.interactions.costs is not None and again.interactions.costs is not None:
        np.testing.assert_array_equal(data.interactions.costs.data, again.interactions.costs.data)
    assert data.instances.equals(again.instances)
    assert data.llms.equals(again.llms)
    assert (data.embeddings is None) == (again.embeddings is None)
    if data.embeddings is not None:
        np.testing.assert_array_equal(data.embeddings, again.embeddings)
        assert data.encoder == again.encoder
    assert (data.pools is None and again.pools is None) or data.pools.equals(again.pools)  # type: ignore[union-attr,arg-type]
    assert (again.name, dict(again.card)) == (data.name, dict(data.card))
