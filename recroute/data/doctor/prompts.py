"""Prompts and embeddings that occur more than once, leak into test, or are all alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recroute.data.dataset import Dataset
from recroute.data.doctor.finding import Finding, about_instances, some
from recroute.data.prompts import prompt_groups
from recroute.errors import argument

PREFIX = 200  # characters that all prompts of a task share before it looks like a few-shot prefix
MIN_PROMPTS = 5
REPEATED = 0.5  # different prompts per instance of a task, from which on down they lack something


def check_prompts(dataset: Dataset) -> list[Finding]:
    """Duplicate prompts, prompts on both sides of the split, shared prefixes."""
    if dataset.prompts is None:
        return [Finding("no_prompts", "note", "there are no prompts", "routers that read text cannot be fitted")]
    group = prompt_groups(dataset)
    findings = _duplicates(dataset, group)
    if "split" in dataset.instances.columns:
        part = dataset.instances["split"].to_numpy()
        findings += about_instances(
            dataset,
            np.isin(group, group[part == "test"]) & (part != "test"),
            "leak",
            "error",
            "instances outside test have the prompt of a test instance",
            f"{argument('split', 'own')} leaves them out; any other use of this split reads the test",
        )
    return findings + _prefixes(dataset)


def _duplicates(dataset: Dataset, group: NDArray[np.int64]) -> list[Finding]:
    """Instances with one prompt; where few prompts make up a task, they lack what tells its instances apart."""
    text, severity = "instances share their prompt with another", "warning"
    mend = "recroute keeps them on one side of a split; other programs may not"
    if tasks := _repeating_tasks(dataset, group):
        text += f" (in {some(tasks)})"
        severity = "error"
        mend = (
            "check whether a passage was left out of the prompts, or one question imported under several ids, and "
            "import again; as they are, no router can tell them apart"
        )
    return about_instances(dataset, np.bincount(group)[group] > 1, "duplicate_prompts", severity, text, mend)


def _repeating_tasks(dataset: Dataset, group: NDArray[np.int64]) -> list[str]:
    """The tasks with at most half as many prompts as instances."""
    found = []
    for task in np.unique(dataset.tasks):
        own = group[dataset.tasks == task]
        if len(own) >= MIN_PROMPTS and (n_prompts := len(np.unique(own))) <= REPEATED * len(own):
            what = "one prompt" if n_prompts == 1 else f"{n_prompts:,} different prompts"
            found.append(f"{task}: {len(own):,} instances with {what}")
    return found


def check_embeddings(dataset: Dataset) -> list[Finding]:
    """Vectors that are zero, not unit length, or the same for different prompts."""
    vectors = dataset.embeddings
    if vectors is None:
        return []
    norm = np.linalg.norm(vectors.astype(np.float64), axis=1)
    findings = about_instances(
        dataset,
        norm == 0,
        "zero_embeddings",
        "error",
        "embeddings are all zero",
        "encode these prompts again, or remove embeddings.npz",
    )
    off = (np.abs(norm - 1) > 0.01) & (norm > 0)
    if off.any():
        text = (
            f"{np.count_nonzero(off):,} embeddings are not of unit length (from {norm[off].min():.3g} to "
            f"{norm[off].max():.3g})"
        )
        mend = "nothing for recroute, which compares directions; programs that take dot products need unit length"
        findings.append(Finding("embedding_length", "note", text, mend))
    return findings + _shared_embeddings(dataset, vectors)


def _shared_embeddings(dataset: Dataset, vectors: NDArray[np.float32]) -> list[Finding]:
    shared = _shared(vectors, prompt_groups(dataset))
    if not shared.any():
        return []
    share = f"{shared.mean():.1%} of all, " if shared.mean() > 0.01 else ""
    return about_instances(
        dataset,
        shared,
        "shared_embeddings",
        "error" if shared.mean() > 0.1 else "warning" if shared.mean() > 0.01 else "note",
        f"instances share their embedding with another prompt ({share}{_length(dataset, shared)})",
        "no router can tell them apart by it: encode with a longer window, or without what the prompts begin with "
        "alike",
    )


def _length(dataset: Dataset, shared: NDArray[np.bool_]) -> str:
    """How long the prompts are, for the encoder has probably cut them."""
    if dataset.prompts is None:
        return "no text"
    length = np.array([len(prompt) for prompt in dataset.prompts])
    return f"median length {np.median(length[shared]):,.0f} characters, of all prompts {np.median(length):,.0f}"


def _shared(vectors: NDArray[np.float32], group: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Instances whose vector also stands for another prompt, bool (n,); vectors of zero are another finding."""
    _, same = np.unique(vectors, axis=0, return_inverse=True)
    same = same.ravel()
    pairs = np.unique(np.column_stack([same, group]), axis=0)
    n_prompts = np.bincount(pairs[:, 0])
    return (n_prompts[same] > 1) & vectors.any(axis=1)


def _common(a: str, b: str) -> int:
    """Number of characters that two texts begin with alike."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _prefixes(dataset: Dataset) -> list[Finding]:
    prompts = np.array(dataset.prompts, dtype=object)
    long = {}
    for task in np.unique(dataset.tasks):
        texts = sorted(set(prompts[dataset.tasks == task]))
        if len(texts) >= MIN_PROMPTS and (n := _common(texts[0], texts[-1])) >= PREFIX:
            long[str(task)] = n
    if not long:
        return []
    listed = some([f"{task} {n:,}" for task, n in long.items()], 5)
    return [
        Finding(
            "shared_prefix",
            "warning",
            f"all prompts of a task begin with the same text (characters: {listed})",
            "a few-shot prefix hides the question from an encoder that cuts long text: strip it before encoding",
            values=long,
        )
    ]
