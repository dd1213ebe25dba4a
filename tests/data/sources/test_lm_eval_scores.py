"""What a score is: metric and filter of each LLM, which way they go, and whether the published means are theirs."""

import json
from typing import Any

import numpy as np
import pytest

from recroute.errors import DataError

NAN = float("nan")
STRICT, FLEXIBLE = [1, 0, 0, 0], [1, 1, 1, 0]


def gsm8k(strict: float, flexible: float, name: str = "lab/old") -> dict[str, Any]:
    means = {"alias": "gsm8k", "exact_match,strict-match": strict, "exact_match_stderr,strict-match": 0.1}
    means |= {"exact_match,flexible-extract": flexible, "exact_match_stderr,flexible-extract": "N/A"}
    return {"model_name": name, "results": {"gsm8k": means}}


def unnamed(logs: Any, *filters: list[Any]) -> list[dict[str, Any]]:
    """Rows of early versions: filter after filter, which no row names."""
    return [row for scores in filters for row in logs.rows(scores, "exact_match", filter=None, metrics=None)]


# -- filters


@pytest.mark.parametrize(
    ("filters", "published"),
    [
        ([STRICT, FLEXIBLE], gsm8k(0.25, 0.75)),
        ([FLEXIBLE, STRICT], gsm8k(0.25, 0.75)),  # in another order than the results file has them
        ([[1, 1, 1, 0], [0, 1, 1, 1]], gsm8k(0.75, 0.75)),  # means alike: logged in the order of the results file
    ],
)
def test_unnamed_filters_are_told_by_their_means(logs: Any, filters: list[Any], published: dict[str, Any]) -> None:
    logs.write("old", unnamed(logs, *filters), "gsm8k", results=published)
    strict, flexible = (filters[0], filters[1]) if filters[0] != FLEXIBLE or published == gsm8k(0.75, 0.75) else (
        filters[1], filters[0])  # fmt: skip
    assert logs.scores() == {"lab/old": flexible}
    assert logs.scores(filter="strict-match") == {"lab/old": strict}


def test_unnamed_filters_of_several_ranks_and_three_filters(logs: Any) -> None:
    filters = [STRICT, FLEXIBLE, [0, 0, 0, 0]]
    rows = [row for rank in (0, 1) for scores in filters for row in unnamed(logs, scores)[rank::2]]
    published = gsm8k(0.25, 0.75)
    published["results"]["gsm8k"]["exact_match,custom-extract"] = 0.0
    logs.write("old", rows, "gsm8k", results=published)
    data = logs.imported(filter="flexible-extract")
    by_prompt = dict(zip(data.prompts, data.interactions.dense()[:, 0].tolist(), strict=True))
    assert [by_prompt[f"Q: What is {i} plus {7 * i}?"] for i in range(4)] == FLEXIBLE


@pytest.mark.parametrize(
    ("published", "said"),
    [
        (None, r"no results_.*\.json beside it tells them apart"),
        (gsm8k(0.5, 0.75), r"the means in results_.*\.json do not tell them apart"),
        ({"model_name": "lab/old", "results": {"gsm8k": {"exact_match,strict-match": 0.25}}}, "the means in"),
    ],
)
def test_unnamed_filters_that_nothing_tells_apart_are_refused(logs: Any, published: Any, said: str) -> None:
    logs.write("lab__old", unnamed(logs, STRICT, FLEXIBLE), "gsm8k", results=published)
    with pytest.raises(DataError, match=rf"has 2 rows of each document of lab/old and names no filter, and {said}"):
        logs.imported()


def test_every_llm_has_its_scores_by_its_own_filter(logs: Any) -> None:
    logs.write("old", unnamed(logs, STRICT, FLEXIBLE), "gsm8k", results=gsm8k(0.25, 0.75))
    new = [row for name, scores in (("strict-match", FLEXIBLE), ("flexible-extract", STRICT))
           for row in logs.rows(scores, "exact_match", filter=name)]  # fmt: skip
    logs.write("new", new, "gsm8k")
    assert logs.scores() == {"new": STRICT, "lab/old": FLEXIBLE}
    assert logs.imported().card["score"] == "exact_match after flexible-extract: gsm8k"


def test_no_llm_vanishes_where_no_filter_and_metric_is_common(logs: Any) -> None:
    logs.write("a", logs.rows([1, 0], "exact_match", filter="strict-match"), "gsm8k")
    logs.write("b", logs.rows([0, 0], "exact_match", filter="custom"), "gsm8k")
    logs.write("c", logs.rows([1, 1], "acc"), "gsm8k")
    assert logs.scores() == {"a": [1, 0], "b": [0, 0], "c": [1, 1]}
    assert logs.notes[0].endswith(
        "scores differ in kind: exact_match after strict-match for a; exact_match after custom for b; acc for c"
    )
    card = logs.imported().card["score"]
    assert card == "exact_match after strict-match: gsm8k (a); exact_match after custom: gsm8k (b); acc: gsm8k (c)"


def test_the_metric_that_all_llms_have_is_taken(logs: Any) -> None:
    both = [row | {"metrics": ["acc", "acc_norm"], "acc_norm": 1.0} for row in logs.rows([1, 0])]
    logs.write("a", both)
    logs.write("b", logs.rows([0, 1]))
    assert logs.scores() == {"a": [1, 0], "b": [0, 1]}
    assert "sums: metric acc was taken, the samples also have acc_norm (metric)" in logs.notes
    with pytest.raises(DataError, match=r"metric 'acc_norm' is not in the samples of sums; there: acc \(b\)"):
        logs.imported(metric="acc_norm")


def test_filters_and_metrics_can_be_chosen(logs: Any) -> None:
    rows = [logs.row(0, s, filter=name, metrics=["acc", "acc_norm"], acc_norm=1 - s)
            for name, s in (("strict-match", 0.75), ("flexible-extract", 0.25))]  # fmt: skip
    logs.write("one", rows, "arc_easy")
    assert logs.scores() == {"one": [0.75]}
    assert logs.scores(filter="strict-match", metric="acc") == {"one": [0.75]}
    assert logs.imported(filter="strict-match", metric="acc").card["score"] == "acc after strict-match: arc_easy"
    with pytest.raises(DataError, match=r"metric 'bleu' is not in the samples of arc_easy; there: acc, acc_norm"):
        logs.imported(metric="bleu")


# -- rows that stand twice


@pytest.mark.parametrize("name", ["none", None])
def test_an_appended_run_is_no_second_document(logs: Any, name: str | None) -> None:
    logs.write("a", logs.rows(STRICT, filter=name) * 2)
    logs.write("b", logs.rows(FLEXIBLE, filter=name))
    assert logs.scores() == {"a": STRICT, "b": FLEXIBLE}
    assert any("a, sums: documents stand 2 times in samples_sums_" in note for note in logs.notes)


def test_of_two_runs_in_a_file_the_published_one_counts_and_else_none(logs: Any) -> None:
    rows = logs.rows(STRICT) + logs.rows(FLEXIBLE)
    logs.write("a", rows, results={"model_name": "a", "results": {"sums": {"acc,none": 0.75}}})
    assert logs.scores() == {"a": FLEXIBLE}
    logs.write("a", rows, results={"model_name": "a", "results": {"sums": {"acc,none": 0.5}}})
    with pytest.raises(DataError, match=r"line 2, and .*line 6 are one document after filter 'none' with other scores"):
        logs.imported()


# -- which way a metric goes


def lower(metric: str, mean: float, **where: Any) -> dict[str, Any]:
    return {"model_name": "m", "results": {"sums": {f"{metric},none": mean}}} | where


@pytest.mark.parametrize(
    "results",
    [
        lower("error", 0.5, higher_is_better={"sums": {"error": False}}),
        lower("error", 0.5, configs={"sums": {"metric_list": [{"metric": "error", "higher_is_better": False}]}}),
        lower("error", 0.5, higher_is_better={"sums": {"error": False}, "group": None}, configs=[]),
    ],
)
def test_a_metric_of_which_less_is_better_is_turned_round(logs: Any, results: dict[str, Any]) -> None:
    logs.write("a", logs.rows([0.25, 0.75], "error"), results=results)
    logs.write("b", logs.rows([1.0, 0.0], "error"))  # without results: the same metric of the same task
    assert logs.scores() == {"m": [0.75, 0.25], "b": [0, 1]}
    assert "sums: less error is better, so the score is 1 - error" in logs.notes
    assert logs.imported().card["score"] == "1 - error: sums"


def test_brier_scores_are_known_to_be_better_when_lower(logs: Any) -> None:
    logs.write("good", logs.rows([0.05, 0.05], "brier_score"))
    logs.write("bad", logs.rows([0.9, 0.9], "brier_score"))
    assert logs.means() == {"bad": 0.1, "good": 0.95}


@pytest.mark.parametrize("metric", ["perplexity", "word_perplexity", "bits_per_byte", "brier_score", "wer"])
def test_a_metric_without_an_upper_end_is_refused(logs: Any, metric: str) -> None:
    logs.write("a", logs.rows([0.5, 1.75], metric))
    with pytest.raises(DataError, match=rf"{metric} .* of a \(.*line \d\): less is better, and it can be above 1"):
        logs.imported()


def test_a_metric_of_which_more_is_better_goes_first(logs: Any) -> None:
    rows = [row | {"metrics": ["brier_score", "zest"], "brier_score": 0.1} for row in logs.rows([1, 0], "zest")]
    logs.write("a", rows)
    assert logs.scores() == {"a": [1, 0]}


def test_files_that_disagree_on_the_direction_are_refused(logs: Any) -> None:
    for name, higher in (("a", True), ("b", False)):
        said = {"model_name": name, "higher_is_better": {"sums": {"acc": higher}}}
        logs.write(name, logs.rows([1, 0]), results=said)
    with pytest.raises(DataError, match=r"a/results_.* and .*b/results_.* disagree on whether more acc is better"):
        logs.imported()


def test_a_score_outside_the_range_names_the_option_that_helps(logs: Any) -> None:
    logs.write("a", logs.rows([34.5], "bleu"))
    with pytest.raises(DataError, match=r"score 34\.5 .* is outside \[0, 1\]; choose another metric with metric"):
        logs.imported()


# -- published means


def test_a_mean_that_is_not_the_published_one_is_an_error(logs: Any) -> None:
    said = {"model_name": "lab/m", "results": {"sums": {"acc,none": 0.75}}}
    logs.write("a", logs.rows([1, 0]), results=said)
    with pytest.raises(
        DataError, match=r"lab/m, sums: 2 samples have mean acc 0\.5000, .* says 0\.7500; .*check_means=False"
    ):
        logs.imported()
    assert logs.scores(check_means="false") == {"lab/m": [1, 0]}
    assert "lab/m, sums: 2 samples have mean acc 0.5000, results_" in logs.notes[-1]


@pytest.mark.parametrize(
    "said",
    [
        {"results": {"sums": {"acc,none": 0.50004}}},  # rounded
        {"results": {"sums": {"acc,none": NAN}}},
        {"results": {"sums": {"acc,none": "N/A"}}},
        {"results": {"sums": {"acc": 0.5}}},  # early versions
        {"results": {"sums": {"acc,none": 0.9}}, "configs": {"sums": {"metric_list": [
            {"metric": "acc", "aggregation": "median"}]}}},
        {"results": {"sums": {"acc,other": 0.9}}},
        {"results": []},
    ],
)  # fmt: skip
def test_what_is_no_mean_of_these_samples_is_not_compared(logs: Any, said: dict[str, Any]) -> None:
    logs.write("a", logs.rows([1, 0]), results={"model_name": "a"} | said)
    assert logs.scores() == {"a": [1, 0]}


# -- values


@pytest.mark.parametrize("value", [NAN, None, "nan"])
def test_nan_is_unobserved_and_counted_by_llm(logs: Any, value: Any) -> None:
    rows = logs.rows([0, 0, 0])
    logs.write("all", [row | {"acc": value} for row in rows])
    logs.write("one", [row | {"acc": value if row["doc_id"] == 1 else 1.0} for row in rows])
    np.testing.assert_equal(logs.scores(), {"all": [NAN] * 3, "one": [1, NAN, 1]})
    assert "3 scores of all are NaN: left unobserved" in logs.notes
    assert "1 score of one is NaN: left unobserved" in logs.notes


def test_nan_is_counted_over_tasks(logs: Any) -> None:
    for task in ("sums", "words"):
        logs.write("a", logs.rows([NAN, 1]), task, results={"model_name": "a", "results": {task: {"acc,none": NAN}}})
    logs.imported()
    assert [note for note in logs.notes if "NaN" in note] == ["2 scores of a are NaN: left unobserved"]


def test_truth_values_and_numbers_as_text_are_scores(logs: Any) -> None:
    logs.write("a", logs.rows([True, "False", "0.5"]))
    assert logs.scores() == {"a": [1, 0, 0.5]}


def test_a_run_without_a_metric_that_is_a_number_is_refused(logs: Any) -> None:
    logs.write("a", logs.rows([[1, 0], [0, 1]]))
    with pytest.raises(DataError, match=r"has no metric that is a number, so a has no scores"):
        logs.imported()


def test_metrics_that_are_no_numbers_are_passed_over(logs: Any) -> None:
    logs.write("a", [row | {"metrics": ["acc", "zest"], "zest": 1} for row in logs.rows([[0, [0.5, 0.5]]] * 2)])
    assert logs.scores() == {"a": [1, 1]}


def test_rows_may_stand_in_one_json_array(logs: Any) -> None:
    file = logs.write("a", [])
    file.write_text(json.dumps(logs.rows([1, 0]), indent=1), "utf8")
    assert logs.scores() == {"a": [1, 0]}
    file.write_text("[[1]]", "utf8")
    with pytest.raises(DataError, match=r"row 0 holds list, not an object"):
        logs.imported()
