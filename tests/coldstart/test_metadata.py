"""What is known of LLMs before they answer."""

import numpy as np
import polars as pl
import pytest

from recroute.coldstart import unseen_llms
from recroute.data import Dataset
from recroute.data.llm_table import family_groups
from recroute.data.sources import simulate
from recroute.errors import DataError, UnknownNameError
from recroute.routers.memory.metadata import Metadata


def table(families: list[str | None], sizes: list[float | None]) -> pl.DataFrame:
    return pl.DataFrame(
        {"llm_id": [f"llm{i}" for i in range(len(families))], "family": families, "n_params_b": sizes},
        schema_overrides={"family": pl.String, "n_params_b": pl.Float64},
    )


def test_unknown_families_are_no_family() -> None:
    group, named = family_groups(table(["a", None, "other", "a", "b"], [None] * 5))
    assert named.tolist() == [True, False, False, True, True]
    assert group[0] == group[3]
    assert len(set(group.tolist())) == 4


def test_size_counts_where_it_predicts_the_score() -> None:
    rng = np.random.default_rng(0)
    families = [f"f{i % 6}" for i in range(120)]
    size = 10 ** rng.uniform(0, 2, 120)
    llms = table(families, size.tolist())
    by_size = Metadata.learn(llms, 0.2 + 0.3 * np.log10(size) + rng.normal(0, 0.02, 120))
    at_random = Metadata.learn(llms, rng.uniform(0, 1, 120))
    assert by_size.bandwidth < 1
    assert by_size.bandwidth < at_random.bandwidth
    weights = np.exp(by_size.log_weights(table(["new"], [50.0])))[0]
    assert abs(np.log10(size) @ weights / weights.sum() - np.log10(50)) < 0.15


def test_family_counts_where_it_predicts_the_score() -> None:
    rng = np.random.default_rng(0)
    family = rng.integers(0, 5, 100)
    llms = table([f"f{f}" for f in family], [None] * 100)
    by_family = Metadata.learn(llms, 0.15 * family + rng.normal(0, 0.02, 100))
    assert by_family.boost > Metadata.learn(llms, rng.uniform(0, 1, 100)).boost
    log_weights = by_family.log_weights(table(["f3"], [None]))[0]
    assert log_weights[family == 3].min() > log_weights[family != 3].max()


def test_nothing_known_is_equal_weights() -> None:
    bare = pl.DataFrame({"llm_id": ["a", "b", "c"]})
    found = Metadata.learn(bare, np.array([0.1, 0.5, 0.9]))
    np.testing.assert_array_equal(found.log_weights(bare[:1]), np.zeros((1, 3)))
    sized = Metadata.learn(table(["x", "y", "z"], [7, 13, 70]), np.array([0.1, 0.5, 0.9]))
    assert np.ptp(sized.log_weights(bare[:1])) == 0


@pytest.fixture(scope="module")
def world() -> Dataset:
    return simulate(n_instances=80, n_llms=60, seed=3)


def test_whole_families_are_held_out(world: Dataset) -> None:
    unseen = unseen_llms(world, seed=1)
    families = world.llms["family"].to_numpy()
    assert not set(families[unseen]) & set(np.delete(families, unseen))
    assert 0.2 <= len(unseen) / 60 <= 0.3
    np.testing.assert_array_equal(unseen, unseen_llms(world, seed=1))
    assert len(unseen_llms(world, holdout="random", seed=1)) == 12


def test_bad_holdouts_are_refused(world: Dataset) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'family'"):
        unseen_llms(world, holdout="familly")
    bare = Dataset(world.name, world.interactions, world.instances, world.llms.select("llm_id"))
    with pytest.raises(DataError, match="use holdout='random'"):
        unseen_llms(bare, holdout="family")
    assert len(unseen_llms(bare)) == 12
