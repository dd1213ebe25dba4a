import dataclasses

import polars as pl
import pytest

from recroute.data import Dataset
from recroute.errors import DataError
from recroute.evaluation.run import scale
from recroute.pools import own_pools

MEMBERS = {("all_strong", 2): [1, 4], ("all_weak", 2): [0, 3], ("all_strong", 3): [4, 2, 1], ("all_weak", 3): [5, 0, 3]}


def table(members: dict[tuple[str, int], list[int]], **more: str) -> pl.DataFrame:
    rows = [(group, size, f"llm-{i}") for (group, size), index in members.items() for i in index]
    found = pl.DataFrame(rows, schema=["group", "pool_size", "llm_id"], orient="row")
    return found.with_columns(pl.lit(value).alias(name) for name, value in more.items())


def with_pools(data: Dataset, pools: pl.DataFrame) -> Dataset:
    return dataclasses.replace(data, pools=pools)


def test_pools_keep_groups_sizes_members_and_their_order(planted: Dataset) -> None:
    pools = own_pools(with_pools(planted, table(dict(reversed(MEMBERS.items())))))
    assert {(pool.group, pool.size): pool.llm_index.tolist() for pool in pools} == MEMBERS
    assert [pool.size for pool in pools] == [2, 2, 3, 3]


def test_sizes_restrict(planted: Dataset) -> None:
    data = with_pools(planted, table(MEMBERS))
    assert {pool.size for pool in own_pools(data, [3, 10])} == {3}
    with pytest.raises(DataError, match=r"no pools of size 10; choose from 2, 3"):
        own_pools(data, [10])
    found = scale(data, [], groups=["own"], pool_sizes=[3, 10], n_resamples=10)
    assert set(found.rows["pool_size"].drop_nulls()) == {3}
    assert any(note.endswith("no pools of size 10") for note in found.notes)


def test_data_without_pools_are_refused(planted: Dataset) -> None:
    for data in (planted, with_pools(planted, table(MEMBERS).clear())):
        with pytest.raises(DataError, match="has no pools of its own"):
            scale(data, [], groups=["own"])


def test_own_stands_alone(planted: Dataset) -> None:
    with pytest.raises(DataError, match="run nested separately"):
        scale(with_pools(planted, table(MEMBERS)), [], groups=["own", "nested"])


def test_several_benchmarks_are_never_averaged(planted: Dataset) -> None:
    half = planted.n_instances // 2
    names = pl.Series("benchmark", ["arc"] * half + ["gsm8k"] * (planted.n_instances - half))
    pools = pl.concat([table(MEMBERS, benchmark="arc"), table(MEMBERS, benchmark="gsm8k")])
    both = dataclasses.replace(planted, instances=planted.instances.with_columns(names), pools=pools)
    with pytest.raises(DataError, match=r"pools for arc, gsm8k.*take_benchmark\('arc'\)"):
        own_pools(both)
    arc = both.take_benchmark("arc")
    assert len(own_pools(arc)) == 4
    with pytest.raises(DataError, match=r"pools for arc, each"):
        own_pools(with_pools(both, table(MEMBERS, benchmark="arc")))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({("g", 3): [0, 1]}, "the g pool of 3 LLMs in .* has 2 members, 2 of them distinct"),
        ({("g", 2): [1, 1]}, "has 2 members, 1 of them distinct"),
        ({("g", 2): [0, 77]}, "has 1 LLMs that the data set lacks, such as 'llm-77'; leave out take_covered"),
    ],
)
def test_pools_that_are_not_what_they_claim_are_refused(
    planted: Dataset, members: dict[tuple[str, int], list[int]], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        own_pools(with_pools(planted, table(members)))
