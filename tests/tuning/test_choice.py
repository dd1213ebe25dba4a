"""Which trial is taken: the best of those judged on all folds, in the direction of the metric, if its lead is clear."""

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.study import Study
from optuna.trial import TrialState

from recroute.errors import RouterError
from recroute.tuning.choice import MIN_TRIALS, best_so_far, choose, front, importances
from recroute.tuning.trials import ERROR, FOLDS, LABEL, trial_table


def study_of(directions: list[str], trials: dict[str, list[tuple[float, ...]]]) -> Study:
    """Finished trials by label, from their values by fold."""
    study = optuna.create_study(directions=directions)
    for label, folds in trials.items():
        trial = study.ask()
        trial.set_user_attr(LABEL, label)
        trial.set_user_attr(FOLDS, folds)
        study.tell(trial, [sum(values) / len(folds) for values in zip(*folds, strict=True)])
    return study


def stop(study: Study, label: str, value: float) -> None:
    trial = study.ask()
    trial.set_user_attr(LABEL, label)
    trial.report(value, 0)
    study.tell(trial, state=TrialState.PRUNED)


@pytest.mark.parametrize(("direction", "best", "worst"), [("maximize", 0.8, 0.2), ("minimize", 0.2, 0.8)])
def test_the_best_is_the_best_in_the_direction_of_the_metric(direction: str, best: float, worst: float) -> None:
    trials = {"knn": [(0.5,), (0.5,)], "ridge": [(worst,), (worst,)], "svd": [(best,), (best,)]}
    study = study_of([direction], trials)
    stop(study, "kmeans", 1.0 if direction == "maximize" else 0.0)  # its first fold, which says little
    router, notes = choose(study, "knn")
    assert router.label == "svd"
    assert notes == [
        f"svd is the best of 3 trials judged on all folds ({best:.4f}), ahead of the default knn (0.5000) by 0.3000, "
        "standard error 0.0000"
    ]
    assert best_so_far(study) == f"best {best:.4f} svd"
    table = trial_table(study)
    assert table.sort("place")["pipeline"].to_list() == ["svd", "knn", "ridge", "kmeans"]
    stopped = table.row(3, named=True)
    assert (stopped["state"], stopped["value"], stopped["outcome"]) == ("pruned", None, "stopped after 1 of 2 folds")


@pytest.mark.parametrize("sign", [1, -1])
def test_a_lead_within_a_standard_error_is_none(sign: int) -> None:
    direction = "maximize" if sign == 1 else "minimize"
    folds = {"knn": [(0.5,), (0.5,)], "svd": [(0.5 + sign * 0.3,), (0.5 - sign * 0.2,)]}  # 0.05 +- 0.25
    router, notes = choose(study_of([direction], folds), "knn")
    assert router.label == "knn"
    assert "by 0.0500, standard error 0.2500, which is within one standard error over folds" in notes[0]


def test_of_two_metrics_the_lead_is_in_the_first() -> None:
    trials = {"knn": [(0.5, 0.1), (0.5, 0.1)], "svd": [(0.9, 0.3), (0.5, 0.3)], "ridge": [(0.4, 0.2), (0.4, 0.2)]}
    study = study_of(["maximize", "minimize"], trials)
    router, notes = choose(study, "knn")
    assert router.label == "svd"
    assert "by 0.2000, standard error 0.2000" in notes[0]
    assert [one.label for one in front(study)] == ["svd", "knn"]  # ridge is behind knn in both
    assert trial_table(study)["n_folds"].to_list() == [2, 2, 2]


def test_a_pipeline_counts_once() -> None:
    study = study_of(["maximize"], {"knn": [(0.5,)]})
    for again in study_of(["maximize"], {"knn": [(0.5,)], "svd": [(0.4,)]}).trials:
        study.add_trial(again)
    assert "the best of 2 trials" in choose(study, "svd")[1][0]
    assert trial_table(study)["state"].to_list() == ["complete", "repeat", "complete"]
    assert trial_table(study)["outcome"][1] == "same pipeline as trial 0"


def test_without_a_finished_trial_the_first_failure_is_told() -> None:
    study = optuna.create_study()
    with pytest.raises(RouterError, match="no trial was finished"):
        choose(study, "knn")
    trial = study.ask()
    trial.set_user_attr(ERROR, "knn needs text")
    study.tell(trial, state=TrialState.FAIL)
    with pytest.raises(RouterError, match="knn needs text"):
        choose(study, "knn")


@pytest.mark.parametrize(("step", "told"), [(0.0, False), (1e-17, False), (0.01, True)])
def test_importances_need_values_that_differ(step: float, told: bool) -> None:
    """Factors beyond the number of LLMs change nothing, so all trials of a router may have one value."""
    study = optuna.create_study(direction="maximize")
    spaces = {"router": CategoricalDistribution(["svd"]), "svd.n_factors": IntDistribution(1, 99)}
    for i in range(MIN_TRIALS):
        params, attributes = {"router": "svd", "svd.n_factors": 10 + i}, {LABEL: f"svd(n_factors={10 + i})"}
        value = 0.5 + step * i
        study.add_trial(
            optuna.create_trial(params=params, distributions=dict(spaces), value=value, user_attrs=attributes)
        )
    assert importances(study) == ({"svd": {"n_factors": 1.0}} if told else {})
