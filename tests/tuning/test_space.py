"""Search spaces: read from TOML, checked, and turned into routers."""

from pathlib import Path

import optuna
import pytest

from recroute.data import Dataset
from recroute.errors import DataError, RecrouteError, UnknownNameError
from recroute.routers import make_router, router_names
from recroute.tuning import read_space
from recroute.tuning.space import ROUTERS

WITHOUT_SPACE = {"oracle", "oracle_mix", "random", "best_single", "task_best", "refreshed"}  # nothing in them to search


@pytest.mark.parametrize("router", sorted(set(router_names()) - WITHOUT_SPACE))
def test_every_router_has_a_space_and_every_draw_is_a_router(router: str) -> None:
    space = read_space([router])
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    labels = set()
    for _ in range(12):
        found = space.suggest(study.ask())
        assert make_router(found.label).hyperparameters() == found.hyperparameters()  # the label says all of it
        labels.add(found.label)
    assert len(labels) > 3


def test_the_first_trial_is_the_default_of_the_first_router(planted: Dataset) -> None:
    space = read_space(dataset=planted)
    study = optuna.create_study()
    for params in space.defaults():
        study.enqueue_trial(params)
    assert [space.suggest(study.ask()).label for _ in ROUTERS] == list(ROUTERS)


def test_what_a_label_says_stays_as_it_is() -> None:
    space = read_space(["svd(bridge=kernel)"])
    (parameters,) = space.parameters.values()
    assert "bridge" not in parameters
    assert "n_factors" in parameters
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    assert all("bridge=kernel" in space.suggest(study.ask()).label for _ in range(5))


def test_encoders_that_the_data_lack_are_left_out(planted: Dataset) -> None:
    (parameters,) = read_space(["knn"], dataset=planted).parameters.values()
    assert parameters["views"].choices == ("embedding", "all")  # no vectors: the main ones are TF-IDF already


def test_a_file_takes_the_place_of_what_is_packaged(tmp_path: Path) -> None:
    file = tmp_path / "space.toml"
    file.write_text("[knn]\nn_neighbors = { choices = [7, 9] }\nviews = false\n[every]\ncalibration = false\n", "utf8")
    (parameters,) = read_space(["knn"], file).parameters.values()
    assert list(parameters) == ["n_neighbors"]
    assert parameters["n_neighbors"].choices == (7, 9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[knnn]\nx = { low = 1, high = 2 }", "unknown router 'knnn'"),
        ("[knn]\nn_neighbours = { low = 1, high = 2 }", "hyperparameter 'n_neighbours' of knn in .*did you mean"),
        ("[knn]\nn_neighbors = { low = 1, hihg = 2 }", "unknown key 'hihg' of knn.n_neighbors"),
        ("[knn]\nn_neighbors = { low = 9, high = 2 }", "low=9, high=2 is not a range"),
        ("[knn]\nn_neighbors = { low = 0, high = 2, log = true }", "must be above 0 if log = true"),
        ("[knn]\nn_neighbors = { low = 0, high = 2 }", "n_neighbors=0 must be at least 1"),
        ("[knn]\nn_neighbors = { low = 1, high = 2, choices = [3] }", "either low and high, or choices, or parts"),
        ('[knn]\nviews = { choices = ["embedding", "words"] }', "unknown views 'words'"),
        ("[knn]\nn_neighbors = 5", "write a table such as"),
        ("n_neighbors = 5", "is not in a router's table"),
        ('[auto]\nrouter = { parts = ["knnn"] }', "unknown router 'knnn'"),
        ("[knn]\nn_neighbors = { low = 1, high = 10000000000000000000000 }", "is not a range"),
        ("[knn]\nn_neighbors = { low = 5, high = 9, log = 'yes' }", "log = 'yes' is not true or false"),
        ("[knn]\nn_neighbors = { low = 5, high = 9, none = 1 }", "none = 1 is not true or false"),
        ("[knn]\nn_neighbors = { choices = [[5], [9]] }", "is not a list of values"),
        ("[knn]\nn_neighbors = { choices = [1979-05-27] }", "is not a list of values"),
        ("[knn]\nn_neighbors = { choices = [5, 5] }", "contains a value twice"),
        ("[knn]\nn_neighbors = { choices = [5, nan] }", "n_neighbors=nan is not int"),
        ("[auto]\nrouter = { parts = [1, 2] }", "is not a list of strings"),
        ('[auto]\nrouter = { parts = ["knn"], always = 5 }', "always = 5 is not a string"),
        ("[knn", "is not valid TOML"),
        ("[knn]\nn_neighbors = " + "9" * 5000, "is not valid TOML"),
        ("knn = " + "[" * 5000, "is nested too deeply"),
    ],
)
def test_a_space_that_is_wrong_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "space.toml"
    file.write_text(text, "utf8")
    with pytest.raises(RecrouteError, match=message):
        read_space(["knn", "auto"], file)


def test_a_file_of_another_encoding_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "space.toml"
    file.write_bytes("[knn]\n# Nächste\n".encode("latin1"))
    with pytest.raises(DataError, match="is not valid TOML: line 2 is not UTF-8; save it as UTF-8"):
        read_space(["knn"], file)
    file.write_bytes("[knn]\n# Nächste\nviews = false\n".encode("utf-8-sig"))  # as some editors save it
    assert "views" not in read_space(["knn"], file).parameters["knn"]


def test_a_baseline_has_nothing_to_search() -> None:
    with pytest.raises(DataError, match="task_best has no search space"):
        read_space(["task_best"])
    with pytest.raises(UnknownNameError, match="did you mean 'knn'"):
        read_space(["knnn"])
    with pytest.raises(DataError, match="cannot be read"):
        read_space(["knn"], "/nowhere/space.toml")
