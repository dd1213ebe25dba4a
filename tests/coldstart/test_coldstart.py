"""Evaluation of cold start, and what its intervals promise."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import recroute as rr
from recroute.coldstart import coldstart
from recroute.coldstart.rounds import _auc, play_rounds
from recroute.coldstart.settings import ColdStartSettings
from recroute.data import Dataset, InteractionMatrix
from recroute.data.sources import simulate
from recroute.errors import DataError, UnknownNameError


@pytest.fixture(scope="module")
def world() -> Dataset:
    return simulate(n_instances=250, n_llms=80, seed=3)


@pytest.fixture(scope="module")
def table(world: Dataset) -> pl.DataFrame:
    return coldstart(world, anchors=(0, 4, 16, 64), n_seeds=2).rows


def value(table: pl.DataFrame, metric: str, strategy: str, k: int) -> float:
    (found,) = table.filter(pl.col("seed").is_null(), metric=metric, strategy=strategy, n_anchors=k)["value"]
    return float(found)


def test_a_row_for_every_seed_and_one_for_all(table: pl.DataFrame) -> None:
    error = table.filter(metric="mean_score_error", strategy="active", n_anchors=16)
    assert error["seed"].to_list() == [None, 0, 1]
    pooled, *seeds = error["value"].to_list()
    assert pooled == pytest.approx(np.mean(seeds))
    assert (error["ci_low"] < error["value"]).all()
    assert (error["value"] < error["ci_high"]).all()


def test_fold_in_beats_the_plain_mean(table: pl.DataFrame) -> None:
    for k in (4, 16, 64):
        assert value(table, "mean_score_error", "random", k) < value(table, "plain_mean_error", "random", k)


def test_more_anchors_narrower_intervals(table: pl.DataFrame) -> None:
    for strategy in ("random", "active"):
        widths = [value(table, "interval_width", strategy, k) for k in (4, 16, 64)]
        assert widths == sorted(widths, reverse=True)


def test_intervals_cover(table: pl.DataFrame) -> None:
    covered = table.filter(pl.col("seed").is_null(), metric="interval_coverage")["value"].mean()
    assert 0.8 <= covered <= 1  # 90% promised; about 40 LLMs of 6 families


def test_without_anchors_strategies_are_alike(table: pl.DataFrame) -> None:
    assert value(table, "brier", "random", 0) == value(table, "brier", "active", 0)


def test_same_seed_same_table(world: Dataset) -> None:
    one, two = (coldstart(world, anchors=(4,), n_seeds=1).rows for _ in range(2))
    assert one.equals(two)


def test_unobserved_cells_are_not_asked(world: Dataset) -> None:
    block = world.interactions.dense()
    block[np.random.default_rng(0).random(block.shape) < 0.4] = np.nan
    holes = replace(world, interactions=InteractionMatrix.from_dense(block))
    asked_for = ColdStartSettings(strategies=("active", "a_optimal", "random"), anchors=(8,), seeds=(0,))
    for played in play_rounds(holes, asked_for):
        asked = ~np.isnan(played.scores)
        assert (asked.sum(axis=0) == 8).all()
        np.testing.assert_array_equal(played.scores[asked], played.answers[asked])


def test_the_package_is_the_function(world: Dataset) -> None:
    one, two = (function(world, anchors=(0,), n_seeds=1).rows for function in (rr.coldstart, coldstart))
    assert one.equals(two)


def test_auc_is_a_share_of_pairs() -> None:
    expected, scores = np.array([0.9, 0.5, 0.5, 0.1]), np.array([1.0, 0.0, 1.0, 0.0])
    assert _auc(expected, scores) == pytest.approx((1 + 1 + 0.5 + 1) / 4)
    assert np.isnan(_auc(expected, np.ones(4)))


def test_bad_input_is_refused(world: Dataset) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'active'"):
        coldstart(world, strategies=("actve",))
    with pytest.raises(DataError, match="use fewer anchors"):
        coldstart(world, anchors=(1000,))
