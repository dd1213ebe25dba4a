"""Logs of harnesses, written in small: each writer takes scores and gives a folder as the harness leaves it."""

import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa


def question(task: str, number: int) -> str:
    return f"Passage {number} of {task}.\nWhat follows?"


def mean(values: Sequence[Any]) -> float:
    known = [value for value in values if value == value]
    return sum(known) / len(known) if known else 0.0


def change(file: Path, edit: Callable[[Any], Any]) -> None:
    """Edit the JSON in a file."""
    content = json.loads(file.read_text("utf8"))
    edit(content)
    file.write_text(json.dumps(content), "utf8")


def write_zstd_zip(path: Path, members: Mapping[str, bytes]) -> None:
    """A zip archive compressed with Zstandard, which Python before 3.14 does not write."""
    body, directory = b"", b""
    for name, content in members.items():
        packed = pa.compress(content, codec="zstd", asbytes=True)
        facts = (93, 0, 33, zlib.crc32(content), len(packed), len(content), len(name.encode()))
        directory += struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 63, 63, 0, *facts, 0, 0, 0, 0, 0, len(body))
        directory += name.encode()
        body += struct.pack("<IHHHHHIIIHH", 0x04034B50, 63, 0, *facts, 0) + name.encode() + packed
    n = len(members)
    path.write_bytes(body + directory + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, n, n, len(directory), len(body), 0))


# -- inspect-ai


def inspect_sample(number: int, score: Any, text: str, scorer: str = "match", **more: Any) -> dict[str, Any]:
    """A sample as inspect-ai logs it."""
    return {
        "id": number,
        "epoch": 1,
        "input": text,
        "target": "x",
        "messages": [
            {"role": "system", "content": "You are an assistant."},
            {"role": "user", "content": f"Answer briefly.\n\n{text}", "source": "input"},
            {"role": "assistant", "content": [{"type": "text", "text": "A"}]},
        ],
        "scores": {scorer: {"value": score, "answer": "A"}},
        "metadata": {},
        "events": [],
        **more,
    }


def inspect_log(llm: str, samples: Sequence[Mapping[str, Any]], task: str = "sums", **more: Any) -> dict[str, Any]:
    """A log as inspect-ai writes it; the means of its results are those of numbers."""
    spec = {
        "created": "2025-01-01T00:00:00+00:00",
        "task": task,
        "model": llm,
        "config": {"epochs": 1},
        **more.pop("eval", {}),
    }
    means: dict[str, dict[str, Any]] = {}
    for scorer in dict.fromkeys(name for sample in samples for name in sample.get("scores") or {}):
        values = [sample["scores"][scorer]["value"] for sample in samples if scorer in (sample.get("scores") or {})]
        numbers = [{"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}.get(value, value) if isinstance(value, str) else value
                   for value in values]  # fmt: skip
        if all(isinstance(value, int | float) for value in numbers):
            means[scorer] = {"accuracy": {"name": "accuracy", "value": mean(numbers)}}
    results = {"scores": [{"name": name, "scorer": name, "metrics": of} for name, of in means.items()]}
    return {"version": 2, "status": "success", "eval": spec, "results": results, "samples": list(samples), **more}


def write_inspect(path: Path, log: Mapping[str, Any]) -> Path:
    """A log as `.json`, or as `.eval`: deflated, or compressed with Zstandard where the name has "zstd" in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".json":
        path.write_text(json.dumps(log, indent=2), "utf8")
        return path
    header = {key: value for key, value in log.items() if key != "samples"}
    members = {
        f"samples/{sample['id']}_epoch_{sample['epoch']}.json": json.dumps(sample).encode() for sample in log["samples"]
    }
    members |= {"summaries.json": b"[]", "header.json": json.dumps(header).encode()}
    if "zstd" in path.name:
        write_zstd_zip(path, members)
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
    return path


# -- HELM


def helm_stat(name: str, value: float, **more: Any) -> dict[str, Any]:
    return {"name": {"name": name, "split": "test", **more}, "count": 1, "sum": value, "mean": value}


def write_helm(
    folder: Path, llm: str, scores: Mapping[str, Mapping[str, float]], texts: Mapping[str, str], **spec: Any
) -> Path:
    """A run: by instance the value of each metric, and what it asks; NaN is not written, as HELM does.

    `spec` has the run's `name`, what `scenario` has as arguments, and more of the adapter.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name, arguments = spec.pop("name", f"sums:model={llm.replace('/', '_')}"), spec.pop("scenario", {})
    adapter = {"method": "generation", "model": llm, "model_deployment": llm, **spec}
    write_json = {
        "run_spec.json": {"name": name, "scenario_spec": {"class_name": "Sums", "args": arguments}}
        | {"adapter_spec": adapter},
        "scenario_state.json": {"adapter_spec": adapter, "request_states": [
            {
                "instance": {"input": {"text": text}, "references": [], "split": "test", "id": number},
                "train_trial_index": 0,
                "request": {"model": llm, "prompt": f"Q: Example?\nA: x\n\nQ: {text}\nA:"},
            }
            for number, text in texts.items()
        ]},
        "per_instance_stats.json": [
            {
                "instance_id": number,
                "train_trial_index": 0,
                "stats": [helm_stat("num_prompt_tokens", 12.0)]
                + [helm_stat(metric, value) for metric, value in values.items() if value == value],
            }
            for number, values in scores.items()
        ],
        "stats.json": [
            helm_stat(metric, mean([values[metric] for values in scores.values() if metric in values]))
            for metric in dict.fromkeys(metric for values in scores.values() for metric in values)
        ],
    }  # fmt: skip
    for file, content in write_json.items():
        (folder / file).write_text(json.dumps(content, indent=2), "utf8")
    return folder


# -- Open LLM Leaderboard and lighteval


def details_row(text: str, score: float | None, metric: str = "acc", **more: Any) -> dict[str, Any]:
    row = {
        "example": text,
        "full_prompt": f"Q: Example?\nA: x\n\n{text}",
        "choices": ["yes", "no"],
        "gold": ["yes"],
        "hashes": {"example": "x", "full_prompt": "y"},
        "predictions": [[-1.0, -2.0]],
        "metrics": {metric: score},
    }
    return {key: value for key, value in (row | more).items() if value is not None}


def write_details(
    folder: Path,
    llm: str | None,
    rows: Sequence[Mapping[str, Any]],
    task: str = "harness|sums|5",
    date: str = "2023-08-23T13:05:44.000001",
    **config: Any,
) -> Path:
    """A file of details in the folder of its date, and, if the LLM is given, the results file of that date."""
    place = folder / date
    place.mkdir(parents=True, exist_ok=True)
    file = place / f"details_{task}_{date.replace(':', '-')}.parquet"
    pl.DataFrame(list(rows)).write_parquet(file)
    if llm is not None:
        results = folder / f"results_{date}.json"
        metrics = dict.fromkeys(name for row in rows for name in row.get("metrics") or {})
        means = {name: mean([row["metrics"][name] for row in rows if row["metrics"][name] is not None])
                 for name in metrics}  # fmt: skip
        said = json.loads(results.read_text("utf8"))["results"] if results.exists() else {}
        content = {"config_general": {"model_name": llm, **config}, "results": {**said, task: means}}
        results.write_text(json.dumps(content), "utf8")
    return file


# -- OpenCompass


def write_opencompass(
    work: Path,
    llm: str,
    scores: Sequence[Any],
    texts: Sequence[str],
    task: str = "sums",
    form: str = "list",
    date: str = "20240101_120000",
) -> Path:
    """Predictions, and results with details as a list (of several answers, if a score is a list) or by place."""
    golds = [f"answer to {text}" for text in texts]
    for folder, content in (
        ("predictions", {
            str(i): {"origin_prompt": [{"role": "SYSTEM", "prompt": "Be brief."}, {"role": "HUMAN", "prompt": text}],
                     "prediction": "A", "gold": gold}
            for i, (text, gold) in enumerate(zip(texts, golds, strict=True))
        }),
        ("results", {
            "accuracy": 100 * mean([mean(score) if isinstance(score, list) else score for score in scores]),
            "details": [
                {"example_abbr": f"{task}_{i}", "pred": 3, "answer": gold, "correct": score}
                for i, (gold, score) in enumerate(zip(golds, scores, strict=True))
            ] if form == "list" else {"type": "GEN", **{
                str(i): {"prompt": text, "predictions": "3", "references": gold, "correct": score}
                for i, (text, gold, score) in enumerate(zip(texts, golds, scores, strict=True))
            }},
        }),
    ):  # fmt: skip
        file = work / date / folder / llm / f"{task}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content, indent=4), "utf8")
    return file


# -- xRouteBench


def xroute_row(number: int, llm: str, score: float | None, text: str, **more: Any) -> dict[str, Any]:
    row = {
        "task_name": "sums",
        "query": text,
        "ground_truth": "x",
        "metric": "em_mc",
        "choices": None,
        "task_id": None,
        "model_name": llm,
        "response": "A",
        "token_num": 30,
        "input_tokens": 20,
        "output_tokens": 10,
        "response_time": 0.5,
        "performance": score,
        "embedding_id": number,
    }
    return row | more


def write_xroute(root: Path, config: str, part: str, rows: Sequence[Mapping[str, Any]], end: str = "parquet") -> Path:
    file = root / config / (f"{part}.parquet" if end == "parquet" else f"routing_data_{part}.jsonl")
    file.parent.mkdir(parents=True, exist_ok=True)
    if end == "parquet":
        pl.DataFrame(list(rows), infer_schema_length=None).write_parquet(file)
    else:
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf8")
    return file


def write_candidates(root: Path, prices: Mapping[str, tuple[float, float]]) -> Path:
    rows = [
        {"model_name": llm, "size": "7B", "input_price_per_1m": low, "output_price_per_1m": high, "service": "x",
         "api_model_id": f"Lab/{llm}", "description": f"{llm} is small."}
        for llm, (low, high) in prices.items()
    ]  # fmt: skip
    return write_xroute(root, "llm_candidates", "train", rows)


# -- of every layout one sound folder of three LLMs, for what may be done to it


def sound_inspect(root: Path) -> None:
    for llm, name in (("lab/a", "a.json"), ("lab/b", "b.eval"), ("lab/c", "c_zstd.eval")):
        rows = [inspect_sample(i, score, question("sums", i)) for i, score in enumerate("CIP")]
        write_inspect(root / name, inspect_log(llm, rows))


def sound_helm(root: Path) -> None:
    texts = {f"id{i}": question("sums", i) for i in range(3)}
    for llm in ("lab/a", "lab/b"):
        scores = {number: {"exact_match": float(number == "id1"), "f1_score": 0.5} for number in texts}
        write_helm(root / f"sums:model={llm.replace('/', '_')}", llm, scores, texts)


def sound_leaderboard(root: Path) -> None:
    for llm in ("lab/a", "lab/b"):
        rows = [details_row(question("sums", i), float(i == 1)) for i in range(3)]
        write_details(root / f"details_{llm.replace('/', '__')}", llm, rows)


def sound_opencompass(root: Path) -> None:
    texts = [question("sums", i) for i in range(3)]
    write_opencompass(root, "a", [True, False, True], texts)
    write_opencompass(root, "b", [False, False, True], texts, form="by place")
    (root / "20240101_120000" / "summary").mkdir()
    summary = "dataset,version,metric,mode,a,b\nsums,1a2b3c,accuracy,gen,66.67,33.33\nmmlu,-,naive_average,gen,1.00,-\n"
    (root / "20240101_120000" / "summary" / "summary_20240101_120000.csv").write_text(summary, "utf8")


def sound_xroutebench(root: Path) -> None:
    for part, end in (("train", "parquet"), ("test", "jsonl")):
        rows = [xroute_row(i, llm, float(i), question(part, i)) for i in range(2) for llm in ("a", "b")]
        write_xroute(root, "generic", part, rows, end)
    write_candidates(root, {"a": (0.1, 0.2), "b": (0.3, 0.4)})


LAYOUTS: dict[str, Callable[[Path], None]] = {
    "inspect-ai": sound_inspect,
    "helm": sound_helm,
    "leaderboard": sound_leaderboard,
    "opencompass": sound_opencompass,
    "xroutebench": sound_xroutebench,
}
