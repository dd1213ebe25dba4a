"""Paired comparisons: arithmetic, and what they say where the truth is known."""

import numpy as np
import pytest

from recroute.data import Dataset
from recroute.evaluation.run import evaluate, scale
from recroute.experiment.compare import comparisons, holm, sentence, two_sided_p


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == [0.03, 0.06, 0.06, 0.02]
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_p_is_that_of_a_normal_test() -> None:
    replicates = np.array([-1.0, 1.0, np.nan])  # standard deviation 1
    assert two_sided_p(1.959964, replicates) == pytest.approx(0.05, abs=1e-6)
    assert two_sided_p(-2.575829, replicates) == pytest.approx(0.01, abs=1e-6)
    assert two_sided_p(0, replicates) == 1
    assert two_sided_p(0, np.zeros(9)) == 1
    assert two_sided_p(0.1, np.full(9, 0.1)) == 0


def test_differences_are_paired_and_corrected_within_a_family() -> None:
    rng = np.random.default_rng(0)
    common = rng.normal(size=999)  # what all routers share cancels in a paired difference
    estimates = {
        ("base", "g", 3, "lift"): (0.0, common),
        ("a", "g", 3, "lift"): (0.5, common + 0.5),
        ("b", "g", 3, "lift"): (0.0, common + rng.normal(size=999)),
        ("a", "g", 3, "regret"): (1.0, common),
    }
    by_seed = {key: (np.array([value]), found[None]) for key, (value, found) in estimates.items()}
    rows = comparisons(by_seed, "base", 1000, lambda values, found: found.mean(axis=0)).to_dicts()
    assert [(row["router"], row["metric"]) for row in rows] == [("a", "lift"), ("b", "lift")]
    assert rows[0]["ci_low"] == pytest.approx(0.5)
    assert rows[0]["p_holm"] == 0  # the difference is the same in every resample
    assert rows[1]["p_holm"] == rows[1]["p_value"] == 1


def test_bounds_are_not_compared_and_do_not_count_in_the_correction() -> None:
    rng = np.random.default_rng(1)
    routers = ("base", "a", "oracle", "oracle_mix(p=0.5)", "random")
    estimates = {
        (name, "g", 3, "lift"): (np.array([0.1 * i]), rng.normal(size=(1, 99))) for i, name in enumerate(routers)
    }
    (row,) = comparisons(estimates, "base", 10, lambda values, replicates: replicates[0]).to_dicts()
    assert row["router"] == "a"
    assert row["p_holm"] == pytest.approx(row["p_value"])


@pytest.mark.parametrize(
    ("value", "p", "said"),
    [
        (0.02, 0.01, "a beats b by 2.0 points [1.0, 3.0]"),
        (-0.02, 0.01, "a is behind b by 2.0 points [-3.0, -1.0]"),
        (0.02, 0.2, "no clear difference after Holm's correction: a - b = +2.0 points [1.0, 3.0]"),
    ],
)
def test_sentences(value: float, p: float, said: str) -> None:
    row = {"router": "a", "baseline": "b", "value": value, "ci_low": 0.01, "ci_high": 0.03, "p_holm": p}
    assert sentence(row) == said


def test_a_router_that_reads_the_prompt_beats_the_best_single_llm(planted: Dataset) -> None:
    found = evaluate(planted, ["svd"], seeds=(0, 1))
    assert any(line.startswith("svd beats best_single by") for line in found.sentences())
    assert found.comparisons["baseline"].unique().to_list() == ["best_single"]


def test_with_shuffled_texts_it_does_not(planted: Dataset) -> None:
    found = evaluate(planted, ["svd", "hierarchy"], seeds=(0, 1), shuffle="text")
    assert any("has the text of another one" in note for note in found.notes)
    assert not any(line.startswith(("svd beats", "hierarchy beats")) for line in found.sentences())


def test_routers_are_compared_with_the_baseline_that_was_named(planted: Dataset) -> None:
    found = evaluate(planted, ["svd"], baseline="knn(n_neighbors=9)", seeds=(0,))
    assert found.comparisons["baseline"].unique().to_list() == ["knn(n_neighbors=9)"]
    assert "svd" in found.comparisons["router"].to_list()


def test_the_smallest_pools_are_told_in_a_line(planted: Dataset) -> None:
    found = scale(planted, ["svd"], groups=["nested"], pool_sizes=[3, 6], seeds=(0, 1))
    line = found.passing()
    assert line.startswith("whole interval above the best single LLM on test: from m = ")
    assert "svd" in line
    assert "oracle" not in line
    assert "best_single" not in line
