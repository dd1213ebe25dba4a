"""A simulated pool: made-up LLMs, template prompts, scores from a multidimensional item-response model."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data.dataset import Dataset
from recroute.data.matrix import InteractionMatrix
from recroute.data.sources._templates import DETAILS, TEMPLATES, WORDS
from recroute.errors import DataError
from recroute.util.arguments import checked
from recroute.util.numeric import Array

FAMILIES = (
    "aster",
    "birch",
    "cedar",
    "dahlia",
    "elder",
    "fern",
    "gorse",
    "hazel",
    "iris",
    "juniper",
    "kelp",
    "larch",
)
SIZES = (1, 3, 7, 13, 34, 70)
TUNES = ("", "-chat", "-code", "-math", "-law", "-science")
TUNED_TASKS = {
    "-code": ("code",),
    "-math": ("arithmetic", "logic"),
    "-law": ("law",),
    "-science": ("science",),
}

# Standard deviations of the parts of an ability, in logits; the data card explains them.
SD_LLM, SD_FAMILY_TASK, SD_LLM_TASK, SD_LLM_TOPIC = 0.4, 0.3, 0.3, 0.4
PER_SIZE, TUNE_GAIN, TUNE_LOSS = 0.35, 1.0, 0.15
SD_TASK_DIFFICULTY, PER_STEP, SD_DIFFICULTY, DISCRIMINATION = 0.6, 0.45, 1.6, 1.5
N_STEPS = 5
CARD = {
    "name": "simulated",
    "title": "SIMULATED: template prompts and scores from an item-response model",
    "source": "recroute.data.sources.simulated",
    "licence": "Apache-2.0",
    "score": "0/1, drawn from the model; no LLM was asked anything",
    "simulated": True,
}


@checked
def simulate(*, n_llms: int = 200, n_instances: int = 2000, seed: int = 0) -> Dataset:
    """Simulate a complete data set; no LLM and no benchmark is behind it.

    The score of LLM l on instance i of task t and topic k is 1 with probability
    ``sigmoid(1.5 * (ability[l] + task_skill[l, t] + topic_skill[l, k] - difficulty[i]))``; ability grows with
    the size of the LLM, task skills are shared within a family, and the difficulty shows in the prompt as large
    numbers and added conditions. Constants are in `data_cards/simulated.md`.

    Parameters
    ----------
    n_llms : int
        At least 5.
    n_instances : int
        At least 80, ten for each of the 8 tasks.
    seed : int

    Returns
    -------
    Dataset with the card's key `simulated` set.

    Raises
    ------
    DataError
        For fewer LLMs or instances.
    """
    return simulate_chances(n_llms=n_llms, n_instances=n_instances, seed=seed)[0]


def simulate_chances(*, n_llms: int = 200, n_instances: int = 2000, seed: int = 0) -> tuple[Dataset, Array]:
    """What `simulate` gives, and the probability f64 (n, m) that each score was drawn with."""
    if n_llms < 5 or n_instances < 80:
        raise DataError(f"{n_llms} LLMs and {n_instances} instances are too few to simulate; 5 and 80 are the least")
    rng = np.random.default_rng(seed)
    tasks = list(TEMPLATES)
    topics = [(task, topic) for task in tasks for topic in TEMPLATES[task]]
    llms, ability, task_skill, topic_skill = _llms(n_llms, tasks, len(topics), rng)
    topic_of = rng.permutation(np.arange(n_instances) % len(topics))
    task_of = np.array([tasks.index(topics[k][0]) for k in topic_of])
    steps = rng.integers(0, N_STEPS + 1, n_instances)
    difficulty = (
        rng.normal(0, SD_TASK_DIFFICULTY, len(tasks))[task_of]
        + PER_STEP * (steps - N_STEPS / 2)
        + rng.normal(0, SD_DIFFICULTY, n_instances)
    )
    skill = ability + task_skill[:, task_of].T + topic_skill[:, topic_of].T  # (n, m)
    chance = 1 / (1 + np.exp(-DISCRIMINATION * (skill - difficulty[:, None])))
    scores = (rng.random(chance.shape) < chance).astype(np.float32)
    instances = pl.DataFrame(
        {
            "instance_id": [f"sim-{i:05d}" for i in range(n_instances)],
            "prompt": _prompts(topics, topic_of, steps, rng),
            "task": [tasks[t] for t in task_of],
        }
    )
    return Dataset("simulated", InteractionMatrix.from_dense(scores), instances, llms, card=CARD), chance


def _llms(
    n_llms: int, tasks: list[str], n_topics: int, rng: np.random.Generator
) -> tuple[pl.DataFrame, Array, Array, Array]:
    """Table of LLMs, and their ability f64 (m,), task skills f64 (m, t) and topic skills f64 (m, k)."""
    family = rng.integers(0, len(FAMILIES), n_llms)
    size = rng.integers(0, len(SIZES), n_llms)
    tune = rng.choice(len(TUNES), n_llms, p=[0.3, 0.3, 0.1, 0.1, 0.1, 0.1])
    ability = PER_SIZE * (size - (len(SIZES) - 1) / 2) + rng.normal(0, SD_LLM, n_llms)
    task_skill = rng.normal(0, SD_FAMILY_TASK, (len(FAMILIES), len(tasks)))[family]
    task_skill = task_skill + rng.normal(0, SD_LLM_TASK, (n_llms, len(tasks)))
    for name, tuned in TUNED_TASKS.items():
        own = np.isin(tasks, tuned)
        task_skill[tune == TUNES.index(name)] += np.where(own, TUNE_GAIN, -TUNE_LOSS)
    ids: list[str] = []
    seen: dict[str, int] = {}
    for f, s, t in zip(family, size, tune, strict=True):
        stem = f"{FAMILIES[f]}-{SIZES[s]}b{TUNES[t]}"
        seen[stem] = seen.get(stem, 0) + 1
        ids.append(stem if seen[stem] == 1 else f"{stem}-v{seen[stem]}")
    table = pl.DataFrame(
        {
            "llm_id": ids,
            "family": [FAMILIES[f] for f in family],
            "n_params_b": [float(SIZES[s]) for s in size],
        }
    )
    return table, ability, task_skill, rng.normal(0, SD_LLM_TOPIC, (n_llms, n_topics))


def _prompts(
    topics: list[tuple[str, str]],
    topic_of: NDArray[np.int64],
    steps: NDArray[np.int64],
    rng: np.random.Generator,
) -> list[str]:
    """One distinct text for each instance; its numbers and conditions grow with `steps`."""
    texts: dict[str, None] = {}
    for k, step in zip(topic_of, steps, strict=True):
        task, topic = topics[k]
        text = ""
        while not text or text in texts:
            template = str(rng.choice(TEMPLATES[task][topic]))
            x, y = rng.choice(WORDS[topic], 2, replace=False)
            low, high = 3 ** (step + 1), 3 ** (step + 3)
            a, b = rng.integers(low, high, 2)
            detail = " ".join(rng.permutation(DETAILS)[:step])
            text = " ".join(template.format(a=a, b=b, x=x, y=y, detail=detail).split())
        texts[text] = None
    return list(texts)
