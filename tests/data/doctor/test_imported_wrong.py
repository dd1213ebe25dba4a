"""What a wrong import leaves behind: repeated prompts, LLMs apart, row numbers, mirrored and mixed scores, NaN."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recroute.data import Dataset, InteractionMatrix
from recroute.data.doctor import Finding, diagnose, diagnose_path
from recroute.data.doctor.counting import check_counting

NAN = float("nan")


def dataset(scores: Any, **columns: list[Any]) -> Dataset:
    block = np.asarray(scores, dtype=np.float32)
    n, m = block.shape
    instances = pl.DataFrame({"instance_id": [f"q{i}" for i in range(n)], "task": ["all"] * n, **columns})
    return Dataset(
        "made", InteractionMatrix.from_dense(block), instances, pl.DataFrame({"llm_id": [f"m{j}" for j in range(m)]})
    )


def findings(data: Dataset) -> dict[str, Finding]:
    return {finding.check: finding for finding in diagnose(data).findings}


def solved(n: int = 200, m: int = 6, seed: int = 0) -> np.ndarray:
    """Scores of 0 and 1 of LLMs that find the same instances hard."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(size=m) - 2 * rng.normal(size=(n, 1))
    return (rng.random((n, m)) < 1 / (1 + np.exp(-logit))).astype(np.float32)


# -- prompts


def test_task_with_few_prompts_lacks_what_tells_its_instances_apart() -> None:
    prompts = ["Who did it?"] * 20 + [f"question {i}" for i in range(20)]
    found = findings(dataset(solved(40), task=["musr"] * 20 + ["sums"] * 20, prompt=prompts))["duplicate_prompts"]
    assert found.severity == "error"
    assert "musr: 20 instances with one prompt" in found.evidence
    assert "sums" not in found.evidence
    assert len(found.instances) == 20


def test_pairs_of_equal_prompts_are_a_warning() -> None:
    found = findings(dataset(solved(40), prompt=[f"question {i // 2 if i < 10 else i}" for i in range(40)]))
    assert found["duplicate_prompts"].severity == "warning"


# -- LLMs that share no instances


def test_instances_that_hardly_ever_have_two_llms() -> None:
    scores = np.full((58, 3), NAN)
    for j in range(3):
        scores[20 * j : 20 * j + 20, j] = solved(58)[20 * j : 20 * j + 20, j]
    scores[0, 1] = 1
    data = dataset(scores, prompt=[f"question {i % 20}" for i in range(58)])
    found = findings(data)
    assert found["disjoint_instances"].severity == "error"
    assert found["disjoint_instances"].evidence.startswith("only 1 of 58 instances have scores of two LLMs")
    assert "there are 20 different prompts" in found["disjoint_instances"].evidence
    assert "missing" not in found


def test_groups_of_llms_without_a_common_instance() -> None:
    scores = solved(100)
    scores[:50, :4], scores[50:, 4:] = NAN, NAN
    found = findings(dataset(scores))
    assert found["disjoint_llms"].llms == ("m4", "m5")
    assert found["disjoint_llms"].values == {"n_groups": 2}
    scores[0, 0] = 1  # one instance joins them
    assert not {"disjoint_llms", "disjoint_instances"} & set(findings(dataset(scores)))


def test_cells_missing_by_chance_leave_llms_comparable() -> None:
    scores = solved()
    scores[np.random.default_rng(0).random(scores.shape) < 0.5] = NAN
    found = findings(dataset(scores))
    assert "as if by chance" in found["missing"].evidence
    assert not {"disjoint_llms", "disjoint_instances", "no_scores"} & set(found)


def test_llm_without_a_score_is_named_and_its_nan_counted_where_the_import_knew() -> None:
    scores = solved()
    scores[:, 2] = NAN
    assert findings(dataset(scores))["no_scores"].llms == ("m2",)
    card = {"nan_scores": {"m2": 200, "m0": 3}}
    found = findings(replace(dataset(scores), card=card))["no_scores"]
    assert "200 scores of m2 were NaN" in found.evidence
    assert found.values == {"nan_scores": {"m2": 200}}


# -- columns that count rows


@pytest.mark.parametrize(
    "column",
    [
        np.arange(200) / 199,
        np.arange(1, 201) / 1000,
        np.arange(200)[::-1] / 199,
        np.random.default_rng(0).permutation(200) / 199,
        np.delete(np.arange(220), np.arange(5, 205, 10))[:200] / 219,
        np.r_[np.arange(100), np.arange(100)] / 99,
    ],
    ids=["minmax", "thousandths", "backwards", "sorted by something else", "rows left out", "anew in each task"],
)
def test_columns_that_count_rows(column: np.ndarray) -> None:
    scores = solved()
    scores[:, 3] = column
    found = findings(dataset(scores, task=["a"] * 100 + ["b"] * 100))["counts_rows"]
    assert (found.severity, found.llms) == ("error", ("m3",))


def test_row_numbers_of_many_rows_in_32_bits() -> None:
    scores = solved(30000, 2)
    scores[:, 1] = np.arange(30000) / 29999
    assert check_counting(dataset(scores))[0].llms == ("m1",)


@pytest.mark.parametrize("seed", range(3))
def test_marks_do_not_count_rows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    columns = (rng.random(200), np.sort(rng.random(200)), rng.integers(0, 101, 200) / 100, rng.integers(0, 2, 200))
    assert "counts_rows" not in findings(dataset(np.column_stack(columns)))


# -- mirrored scores


def test_error_rates_among_accuracies() -> None:
    scores = solved()
    scores[:, 4] = 1 - scores[:, 4]
    found = findings(dataset(scores))["mirrored_scores"]
    assert found.llms == ("m4",)
    assert found.values["correlation"]["all tasks"]["m4"] < -0.2


def test_error_rate_in_one_task_only() -> None:
    scores = solved(400)
    scores[:100, 1] = 1 - scores[:100, 1]
    found = findings(dataset(scores, task=["a"] * 100 + ["b"] * 300))["mirrored_scores"]
    assert {task: list(part) for task, part in found.values["correlation"].items()} == {"a": ["m1"]}


@pytest.mark.parametrize("seed", range(5))
def test_llms_that_guess_or_are_good_at_other_tasks_are_not_mirrored(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = solved(120, 30, seed)
    scores[:, :10] = rng.random((120, 10)) < 0.5
    scores[:60, 11], scores[60:, 11] = 0, 1  # of two tasks the better where the others are the worse
    scores[60:, 12:] *= rng.random((60, 18)) < 0.5
    assert "mirrored_scores" not in findings(dataset(scores, task=["a"] * 60 + ["b"] * 60))


# -- scores of two kinds


def test_shares_that_were_taken_for_percent() -> None:
    scores = np.random.default_rng(0).random((60, 5))
    scores[:30, 2] /= 100
    found = findings(dataset(scores, task=["a"] * 30 + ["b"] * 30))["mixed_scales"]
    assert (found.severity, found.values) == ("error", {"llms": {"a": ["m2"]}})


def test_right_or_wrong_beside_marks() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random((60, 5))
    scores[:, 1] = rng.random(60) < 0.5
    found = findings(dataset(scores))["mixed_scales"]
    assert (found.severity, found.llms) == ("warning", ("m1",))


@pytest.mark.parametrize(
    "mix",
    [
        lambda rng: np.where(rng.random((60, 5)) < 0.4, rng.random((60, 5)), rng.random((60, 5)) < 0.5),
        lambda rng: (rng.random((60, 5)) < 0.5) * np.array([1, 1, 0, 1, 1]),
        lambda rng: rng.random((60, 5)) * np.array([1, 1, 1, 1, 0.05]),
    ],
    ids=["full and part marks", "one that solves nothing", "one that is bad"],
)
def test_one_kind_of_scores(mix: Callable[[np.random.Generator], np.ndarray]) -> None:
    assert "mixed_scales" not in findings(dataset(mix(np.random.default_rng(0))))


# -- tables that cannot be read as a data set


def raw(path: Path, **scores: list[float]) -> dict[str, Finding]:
    frames = [
        pl.DataFrame({"instance_id": [f"q{i}" for i in range(len(values))], "llm_id": llm, "score": values})
        for llm, values in scores.items()
    ]
    pl.concat(frames).write_parquet(path / "records.parquet")
    return {finding.check: finding for finding in diagnose_path(path).findings}


def test_raw_scores_that_count_rows_do_not_decide_the_scale(tmp_path: Path) -> None:
    marks = (100 * np.random.default_rng(0).random(40)).round(1).tolist()
    found = raw(tmp_path, number=[float(i) for i in range(40)], alpha=marks)
    assert found["counts_rows"].llms == ("number",)
    assert "percent" in found["score_scale"].evidence
    found = raw(tmp_path, number=[float(i) for i in range(40)], alpha=[mark / 100 for mark in marks])
    assert list(found) == ["counts_rows"]


def test_raw_percent_beside_shares_is_not_sent_to_a_scale(tmp_path: Path) -> None:
    marks = (100 * np.random.default_rng(0).random(40)).round(1).tolist()
    found = raw(tmp_path, alpha=marks, beta=marks[::-1], gamma=[mark / 100 for mark in marks])
    assert list(found) == ["mixed_scales"]
    assert found["mixed_scales"].llms == ("gamma",)


def test_raw_nan_scores_are_counted_by_llm(tmp_path: Path) -> None:
    found = raw(tmp_path, alpha=[0.5, 1, 0], beta=[NAN, NAN, 1], gamma=[NAN] * 3)
    assert found["nan_scores"].values == {"nan_scores": {"beta": 2, "gamma": 3}}
    assert "5 scores are NaN: 2 of beta, 3 of gamma" in found["nan_scores"].evidence
