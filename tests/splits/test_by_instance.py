from collections import Counter

import numpy as np
import polars as pl
import pytest

from recroute.data import Dataset, prompt_groups
from recroute.errors import RecrouteError
from recroute.splits import split_dataset


def dataset(prompts: list[str], tasks: list[str], split: list[str] | None = None) -> Dataset:
    ids = [f"i{i:03d}" for i in range(len(prompts))]
    instances = pl.DataFrame({"instance_id": ids, "prompt": prompts, "task": tasks})
    if split is not None:
        instances = instances.with_columns(pl.Series("split", split))
    records = pl.DataFrame({"instance_id": ids, "llm_id": ["a"] * len(ids), "score": [1.0] * len(ids)})
    return Dataset.from_records(records, instances=instances)


def test_random_split_is_80_10_10_in_every_task() -> None:
    data = dataset([f"p{i}" for i in range(300)], ["small"] * 50 + ["large"] * 250)
    parts = split_dataset(data, seed=3).parts()
    assert {name: part.n_instances for name, part in parts.items()} == {"train": 240, "valid": 30, "test": 30}
    for part, share in (("train", 0.8), ("valid", 0.1), ("test", 0.1)):
        counts = Counter(parts[part].tasks)
        assert abs(counts["small"] - share * 50) <= 1
        assert abs(counts["large"] - share * 250) <= 1


def test_parts_are_disjoint_and_complete() -> None:
    data = dataset([f"p{i}" for i in range(97)], ["t"] * 97)
    ids = [i for part in split_dataset(data).parts().values() for i in part.instance_ids]
    assert sorted(ids) == sorted(data.instance_ids)


@pytest.mark.parametrize("seed", range(5))
def test_repeated_prompts_stay_on_one_side(seed: int) -> None:
    prompts = [f"  Question {i // 3}\n" if i % 2 else f"question   {i // 3}" for i in range(120)]
    split = split_dataset(dataset(prompts, ["t"] * 120), seed=seed)
    train, valid, test = ({" ".join(p.lower().split()) for p in part.prompts or []} for part in split.parts().values())
    assert not train & valid
    assert not train & test
    assert not valid & test


def test_own_split_keeps_test_whole_and_drops_leaks() -> None:
    prompts = ["same"] + [f"p{i}" for i in range(19)] + ["Same ", "q"]
    data = dataset(prompts, ["t"] * 22, split=["train"] * 20 + ["test"] * 2)
    split = split_dataset(data)
    assert split.name == "own"
    assert split.test.instance_ids.ids == ("i020", "i021")
    assert "i000" not in split.train.instance_ids
    assert "i000" not in split.valid.instance_ids
    assert "1 training or validation instance" in split.note
    assert split.valid.n_instances > 0


def test_seeds_differ_and_repeat() -> None:
    data = dataset([f"p{i}" for i in range(100)], ["t"] * 100)
    first, again, other = (split_dataset(data, seed=seed).test.instance_ids for seed in (0, 0, 1))
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("kind", "split", "message"),
    [
        ("own", None, "no split column"),
        ("rnadom", None, "did you mean 'random'"),
        ("own", ["train"] * 19 + ["dev"], "split 'dev' of instance 'i019'"),
    ],
)
def test_bad_splits_are_refused(kind: str, split: list[str] | None, message: str) -> None:
    with pytest.raises(RecrouteError, match=message):
        split_dataset(dataset([f"p{i}" for i in range(20)], ["t"] * 20, split), kind=kind)


def test_too_few_prompts_are_refused() -> None:
    data = dataset(["a", "A ", " a"], ["t"] * 3)  # one distinct prompt cannot fill three parts
    with pytest.raises(RecrouteError, match="at least ten prompts"):
        split_dataset(data)


@pytest.mark.parametrize("n", [10, 11, 15, 29])
def test_part_sizes_hold_for_any_number(n: int) -> None:
    data = dataset([f"p{i}" for i in range(n)], ["t"] * n)
    n_test = [split_dataset(data, seed=seed).test.n_instances for seed in range(200)]
    assert abs(np.mean(n_test) - n / 10) < 0.15


def test_instances_without_a_prompt_do_not_count_as_repeats() -> None:
    assert prompt_groups(dataset(["", "same", "", "Same "], ["t"] * 4)).tolist() == [0, 1, 2, 1]
    parts = split_dataset(dataset([""] * 20, ["t"] * 20))
    assert [data.n_instances for data in parts.parts().values()] == [16, 2, 2]
