"""off_policy as a whole: which rows a router is fitted on, what is said, and what a person sees."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recroute.cli.app import run
from recroute.data import Dataset
from recroute.data.sources import simulate
from recroute.errors import DataError
from recroute.offpolicy import Logs, OffPolicy, choice_probabilities, off_policy, simulate_logs
from recroute.offpolicy.crossfit import folds_with_vectors, out_of_fold
from recroute.routers import Router, make_router


@pytest.fixture(scope="module")
def parts() -> tuple[Dataset, Dataset]:
    """Instances to fit on, and those in production."""
    data = simulate(n_llms=6, n_instances=1400)
    return data.take_instances(np.arange(400)), data.take_instances(np.arange(400, 1400))


@pytest.fixture(scope="module")
def logging(parts: tuple[Dataset, Dataset]) -> Router:
    return make_router("knn").fit(parts[0])


@pytest.fixture(scope="module")
def logs(parts: tuple[Dataset, Dataset], logging: Router) -> Logs:
    return simulate_logs(parts[1], logging, epsilon=0.5, seed=1)


@pytest.fixture(scope="module")
def found(parts: tuple[Dataset, Dataset], logs: Logs) -> OffPolicy:
    return off_policy(logs, {"ridge": make_router("ridge").fit(parts[0])})


def test_estimates_are_near_the_truth(found: OffPolicy, parts: tuple[Dataset, Dataset]) -> None:
    router = make_router("ridge").fit(parts[0])
    scores = parts[1].interactions.dense()
    truth = scores[np.arange(len(scores)), router.rank(parts[1]).llm_index[:, 0]].mean()
    rows = found.rows.filter(router="ridge", metric="mean_score")
    assert rows["estimator"].to_list() == ["ips", "snips", "dr"]
    for row in rows.iter_rows(named=True):
        assert abs(row["value"] - truth) < 3 * (row["ci_high"] - row["ci_low"]) / 3.92
    assert found.value("ridge", "mean_weight") == pytest.approx(1, abs=0.3)
    assert found.value("logged", estimator="mean") == pytest.approx(0.6, abs=0.2)


def test_the_logging_policy_itself_is_what_was_logged(logs: Logs, logging: Router) -> None:
    found = off_policy(logs, {"same": logging}, reward_model="best_single", epsilon=0.5)
    assert found.value("same", estimator="ips") == pytest.approx(logs.table["score"].mean(), abs=1e-6)
    assert found.value("same", "effective_n") == pytest.approx(len(logs))
    pairs = found.comparisons.filter(estimator="ips")
    assert pairs.select("value", "ci_low", "ci_high").row(0) == pytest.approx((0, 0, 0), abs=1e-6)
    assert pairs["p_value"][0] == pytest.approx(1)


def test_the_same_seed_gives_the_same_rows(logs: Logs) -> None:
    first, second = (off_policy(logs, ["task_best"], reward_model="best_single", seed=4) for _ in range(2))
    assert first.rows.equals(second.rows)


def test_no_row_is_judged_by_a_router_that_saw_it(logs: Logs) -> None:
    data = logs.dataset()
    same = data.instances.with_columns(prompt=pl.Series([f"prompt {i // 2}" for i in range(len(logs))]))
    data = replace(data, instances=same)
    folds = folds_with_vectors(data, 5, seed=0)
    assert sorted(np.concatenate([fold.index for fold in folds])) == list(range(len(logs)))

    def seen(router: Router, part: Dataset) -> np.ndarray:
        assert router.background_ is not None
        fitted_on = set(router.background_.prompts["prompt"])
        return np.array([[text in fitted_on] * data.n_llms for text in part.prompts or []], dtype=float)

    assert not out_of_fold(make_router("best_single"), data, folds, 0, seen).any()


def test_a_router_fitted_on_logged_prompts_is_warned_of(logs: Logs, parts: tuple[Dataset, Dataset]) -> None:
    on_logs = make_router("best_single").fit(parts[1].take_instances(np.arange(100)))
    notes = off_policy(logs, {"mine": on_logs}, reward_model="best_single").notes
    assert any("fitted on 100 of the 1000 logged prompts" in note for note in notes)
    elsewhere = make_router("best_single").fit(parts[0])
    notes = off_policy(logs, {"mine": elsewhere}, reward_model="best_single").notes
    assert not any("fitted on" in note for note in notes)


def test_llms_that_were_never_logged_are_warned_of(logs: Logs, parts: tuple[Dataset, Dataset]) -> None:
    router = make_router("best_single").fit(parts[0])
    best = router.llm_ids_.ids[router.rank(parts[1]).llm_index[0, 0]]
    without = Logs(logs.table.filter(pl.col("llm_id") != best))
    found = off_policy(without, {"single": router}, reward_model="best_single")
    assert found.value("single", "never_logged") == 1
    assert any("100.0% of its choices are LLMs that were never logged" in note for note in found.notes)


def test_logs_without_text_are_judged_with_mean_scores(logs: Logs) -> None:
    bare = Logs(logs.table.drop("prompt", "task"))
    assert off_policy(bare, ["random"]).info["reward_model"] == "best_single"


def test_what_cannot_be_done_is_refused(logs: Logs, parts: tuple[Dataset, Dataset]) -> None:
    with pytest.raises(DataError, match="folds are too many"):
        off_policy(Logs(logs.table.head(3)), ["random"])
    with pytest.raises(DataError, match="each once"):
        off_policy(logs, ["knn", "knn"])
    few = make_router("best_single").fit(parts[0].take_llms(np.arange(2)))
    with pytest.raises(DataError, match="reward model best_single does not know every LLM"):
        off_policy(logs, ["random"], reward_model=few)


def test_an_interrupt_keeps_the_routers_that_were_finished(logs: Logs) -> None:
    def stop(done: int, of: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    found = off_policy(logs, ["random", "best_single"], reward_model="best_single", progress=stop)
    assert found.rows["router"].unique(maintain_order=True).to_list() == ["logged", "random"]
    assert not found.info["complete"]
    assert any("interrupted" in note for note in found.notes)
    assert "INTERRUPTED: only finished routers" in found._repr_html_()


def test_exploring_targets_are_judged_as_they_explore(logs: Logs, parts: tuple[Dataset, Dataset]) -> None:
    router = make_router("ridge").fit(parts[0])
    found = off_policy(logs, {"ridge": router}, reward_model="best_single", epsilon=1.0)
    uniform = off_policy(logs, {"random": make_router("random")}, reward_model="best_single")
    for name in ("ips", "snips", "dr"):
        assert found.value("ridge", estimator=name) == pytest.approx(uniform.value("random", estimator=name))
    assert choice_probabilities(router, parts[1], epsilon=1.0).std() == pytest.approx(0)


def test_the_verb_prints_a_table_and_writes_files(
    logs: Logs, parts: tuple[Dataset, Dataset], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.table.write_parquet(tmp_path / "log.parquet")
    make_router("best_single").fit(parts[0]).save(tmp_path / "mine")
    arguments = ["off-policy", str(tmp_path / "log.parquet"), "--reward-model", "best_single"]
    routers = ["--router", str(tmp_path / "mine"), "--router", "random"]
    files = {kind: tmp_path / f"f.{kind}" for kind in ("json", "html", "png", "csv")}
    assert (
        run([*arguments, *routers, *(text for kind, path in files.items() for text in (f"--{kind}", str(path)))]) == 0
    )
    out = capsys.readouterr().out
    assert "doubly robust" in out
    assert "random is behind logged" in out
    result = json.loads(files["json"].read_text("utf8"))
    rows = result["rows"]
    assert list(result["dataset"]["sha256"]) == ["log.parquet"]
    assert "<svg" in files["html"].read_text("utf8")
    assert files["png"].read_bytes().startswith(b"\x89PNG")
    assert files["csv"].read_text("utf8").startswith("router,group,pool_size,seed,metric,value")
    assert {"mine", "random", "logged"} == {row["router"] for row in rows}
    keys = {"router", "group", "pool_size", "seed", "metric", "value", "ci_low", "ci_high", "n_instances", "estimator"}
    assert all(set(row) == keys for row in rows if "baseline" not in row)
    assert run([*arguments, "--router", "rigde"]) == 2
    assert "did you mean 'ridge'" in capsys.readouterr().err
