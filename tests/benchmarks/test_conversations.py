"""Opt-in: `pytest tests/benchmarks/test_conversations.py -s`. What each way to read a conversation costs.

Two turns: a test prompt, then either a short follow-up, whose answer is about the first prompt and is given that
prompt's score, or a test prompt of another task, which has its own score. Recorded scores are of single prompts, and
the answer between the turns is a stand-in. For each way: how often the second turn goes to another LLM than the first,
and the score of its LLM, as the difference from routing the last message by itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recroute.conversation import Conversations, Reading, Turn
from recroute.data import Dataset, Prompts, read_dataset
from recroute.encoders import fit_encoder, vectors_of
from recroute.routers import Router, make_router
from recroute.splits import split_dataset
from tests.benchmarks.test_refresh import N_LLMS, Cells, interval

NAMES = ["llmrouter", "mmlupro", "openllm1", "routerbench"]
SEEDS, N_PROMPTS = 5, 300
WAYS: list[tuple[str, float | None]] = [
    ("last", None),
    ("first", None),
    ("joined", None),
    ("last", 0.02),
    ("last", 0.05),
    ("last", 0.1),
    ("joined", 0.02),
    ("joined", 0.05),
]
FOLLOW_UPS = (
    "Looks good, commit it.",
    "Are you sure?",
    "Thanks. Shorter, please.",
    "Explain the second step.",
    "Why?",
    "Try again.",
    "Please check that once more.",
    "Continue.",
    "Just the answer, please.",
    "That is wrong.",
    "Write it as a table.",
    "Can you translate that into French?",
)


def talk(first: str, second: str) -> list[dict[str, str]]:
    turns = (("user", first), ("assistant", "Here is my answer."), ("user", second))
    return [{"role": role, "content": text} for role, text in turns]


def second_turn(
    router: Router, talks: list[list[dict[str, str]]], taken: Cells, reading: str, stay: float | None
) -> Cells:
    """The LLM of each conversation's second turn, int (n,), of which `taken` had the first."""
    predicted = router.score([Reading.of(reading).text(messages) for messages in talks])
    rows, best = np.arange(len(talks)), router.choose(predicted, np.arange(predicted.shape[1]))[:, 0]
    if stay is None:
        return best
    return np.where(predicted[rows, best] - predicted[rows, taken] > stay, best, taken)


def check(router: Router, talks: list[list[dict[str, str]]], taken: Cells, second: Cells, stay: float) -> None:
    """What was taken in one go is what the service takes, one conversation after the other."""
    names, memory = router.llm_ids_.ids, Conversations(stay)
    for messages, one, two in zip(talks[:20], taken, second, strict=False):
        memory.keep(Turn.of(messages), names[one])
        prompts = Prompts.of([Reading.of("last").text(messages)])
        ranking = memory.rank(router, prompts, 1, None, Turn.of(messages)) or router.rank(prompts)
        assert ranking.names == [[names[two]]]


def drawn(data: Dataset, seed: int) -> tuple[Dataset, Dataset]:
    """A training part with vectors, and test prompts."""
    if data.n_llms > 1000:
        complete = np.flatnonzero(data.interactions.llm_counts == data.n_instances)
        data = data.take_llms(np.sort(np.random.default_rng([seed, 11]).choice(complete, N_LLMS, replace=False)))
    split = split_dataset(data, seed=seed)
    encoder = fit_encoder(split.train, "tfidf")
    assert encoder is not None
    n = split.test.n_instances
    rows = np.random.default_rng([seed, 7]).permutation(n)[:N_PROMPTS]
    train = split.train.with_embeddings(vectors_of(split.train, encoder), encoder)
    return train, split.test.take_instances(np.sort(rows))


def measure(data: Dataset, label: str) -> dict[str, dict[tuple[str, float | None], Any]]:
    """By kind of second turn and way: shares of changes and scores, each a list over seeds."""
    found: dict[str, dict[tuple[str, float | None], Any]] = {}
    for seed in range(SEEDS):
        train, test = drawn(data, seed)
        router = make_router(label, seed=seed).fit(train)
        rng = np.random.default_rng([seed, 9])
        texts, tasks = test.instances["prompt"].to_list(), test.instances["task"].to_numpy()
        scores, rows = test.interactions.dense(), np.arange(len(texts))
        taken = router.choose(router.score(texts), np.arange(len(router.llm_ids_)))[:, 0]
        other = np.array([rng.choice(np.flatnonzero(tasks != task)) for task in tasks])
        kinds = {
            "follow-up": ([rng.choice(FOLLOW_UPS) for _ in texts], scores),
            "new question": ([texts[j] for j in other], scores[other]),
        }
        for kind, (seconds, truth) in kinds.items():
            talks = [talk(first, str(second)) for first, second in zip(texts, seconds, strict=True)]
            for way in WAYS:
                second = second_turn(router, talks, taken, *way)
                if way[1] is not None and way[0] == "last":
                    check(router, talks, taken, second, way[1])
                kept = found.setdefault(kind, {}).setdefault(way, {"changed": [], "score": [], "ids": []})
                kept["changed"].append((second != taken).astype(float))
                kept["score"].append(truth[rows, second])
                kept["ids"].append(test.instance_ids.ids)
    return found


@pytest.mark.realdata
def test_what_each_way_to_read_a_conversation_costs(real: Path) -> None:
    print("\n| data | way | follow-up: changes | score | new question: changes | score |\n|---|---|---|---|---|---|")
    for name in NAMES:
        found = measure(read_dataset(real / name), "auto")
        for way in WAYS:
            cells = [f"{way[0]}{'' if way[1] is None else f', stay {way[1]:g}'}"]
            for kind in ("follow-up", "new question"):
                of_way, base = found[kind][way], found[kind]["last", None]
                changed, _ = interval(of_way["changed"], of_way["ids"])
                value, _ = interval(of_way["score"], of_way["ids"])
                differences = [a - b for a, b in zip(of_way["score"], base["score"], strict=True)]
                gain, reach = interval(differences, of_way["ids"])
                told = (
                    f"{value:.3f}"
                    if way == ("last", None)
                    else f"{gain:+.3f} [{gain - reach:+.3f}, {gain + reach:+.3f}]"
                )
                cells += [f"{changed:.0%}", told]
            n = sum(map(len, found["follow-up"][way]["ids"]))
            print(f"| {name} ({n:,}) | " + " | ".join(cells) + " |", flush=True)
    assert found["follow-up"]["first", None]["changed"][0].max() == 0
