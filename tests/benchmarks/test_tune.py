"""Opt-in: `pytest tests/benchmarks/test_tune.py -s`. Workers that are killed, that share a study, and the speed."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import polars as pl
import pytest

import recroute as rr
from recroute.data import write_dataset
from recroute.splits import split_dataset
from recroute.testing import planted_dataset
from recroute.tuning import read_space
from recroute.tuning.parallel import MEMO_ROOM
from recroute.tuning.settings import TuneSettings
from recroute.tuning.storage import open_storage, storage_at
from recroute.tuning.study import open_study
from recroute.tuning.validation import Validation
from recroute.tuning.worker import Job, is_finished, work
from recroute.util import memo

N_TRIALS, N_KILLS = 40, 20
OPTIONS = ["--router", "knn", "--router", "ridge", "--router", "svd", "--pool-sizes", "3,6", "--groups", "nested"]
OPTIONS += ["--folds", "3", "--trials", str(N_TRIALS), "--seed", "2", "--quiet"]


def command(folder: Path, url: str | None, out: str = "study", study: str = "study") -> list[str]:
    storage = ["--storage", url, "--study", study] if url else []
    head = [sys.executable, "-c", "from recroute.cli import main; main()", "tune", str(folder / "data")]
    return [*head, "--out", str(folder / out), *OPTIONS, *storage]


def runs(folder: Path, url: str | None, pid: int) -> bool:
    """Whether a process has begun a trial."""
    return any(t.user_attrs.get("worker", {}).get("pid") == pid for t in trials_of(folder, url, all_of_them=True))


def trials_of(folder: Path, url: str | None, all_of_them: bool = False) -> list[optuna.trial.FrozenTrial]:
    """The finished trials of a study, or all; none if it is not there yet."""
    journal = folder / "study" / "journal.log"
    if url is None and not journal.exists():
        return []
    with storage_at(url, journal) as storage:
        if "study" not in optuna.get_all_study_names(storage):
            return []
        trials = optuna.load_study(study_name="study", storage=storage).trials
        return [t for t in trials if all_of_them or is_finished(t)]


def finished(folder: Path, url: str | None) -> dict[int, Any]:
    return {t.number: (t.user_attrs["label"], t.values, t.state, t.params) for t in trials_of(folder, url)}


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of its own on loopback, from the Debian packages."""
    pytest.importorskip("psycopg", reason="needs pip install 'psycopg[binary]'")
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not homes:
        pytest.skip("needs PostgreSQL: apt-get install postgresql")
    folder = tmp_path_factory.mktemp("postgres")
    port = 20000 + os.getpid() % 20000
    as_user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    if as_user:
        for parent in (folder, *folder.parents[:2]):
            parent.chmod(0o755)
        subprocess.run(["chown", "postgres", str(folder)], check=True)
    data, log = str(folder / "db"), str(folder / "log")
    run = [*as_user, str(homes[-1] / "initdb"), "-D", data, "-U", "me", "--auth=trust"]
    subprocess.run(run, check=True, stdout=subprocess.DEVNULL)
    ctl = [*as_user, str(homes[-1] / "pg_ctl"), "-D", data, "-w", "-l", log]
    listen = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder}"
    subprocess.run([*ctl, "-o", listen, "start"], check=True, stdout=subprocess.DEVNULL)
    try:
        yield f"postgresql+psycopg://me@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*ctl, "-m", "immediate", "stop"], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("kind", ["journal", "sqlite"])
def test_twenty_kills_lose_nothing_that_was_finished(tmp_path: Path, kind: str) -> None:
    write_dataset(planted_dataset(n_instances=600, noise=0.3), tmp_path / "data")
    url = f"sqlite:///{tmp_path}/study.db" if kind == "sqlite" else None
    rng, seen, kills = random.Random(1), dict[int, Any](), 0
    while kills < N_KILLS:
        child = subprocess.Popen(command(tmp_path, url), stderr=subprocess.PIPE)
        if rng.random() < 0.8:  # else it may die while it starts
            while child.poll() is None and not runs(tmp_path, url, child.pid):
                time.sleep(0.05)
        try:
            _, err = child.communicate(timeout=rng.uniform(0, 1.2))
            assert child.returncode == 0, err
            break  # done before all kills
        except subprocess.TimeoutExpired:
            os.kill(child.pid, signal.SIGKILL)
            child.communicate()
            kills += 1
        now = finished(tmp_path, url)
        assert {number: now[number] for number in seen} == seen
        seen = now
    print(f"\n{kind}: {kills} kills, {len(seen)} of {N_TRIALS} trials finished until then")
    subprocess.run(command(tmp_path, url), check=True)
    ended = finished(tmp_path, url)
    assert len(ended) == N_TRIALS
    assert {number: ended[number] for number in seen} == seen
    assert pl.read_csv(tmp_path / "study" / "trials.csv").height == N_TRIALS


@pytest.mark.parametrize("kind", ["journal", "postgres"])
def test_four_processes_share_a_study(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    write_dataset(planted_dataset(n_instances=400, noise=0.3), tmp_path / "data")
    url = request.getfixturevalue("postgres") if kind == "postgres" else None
    outs = [f"study{i}" for i in range(4)] if url else ["study"] * 4
    workers = [subprocess.Popen(command(tmp_path, url, out)) for out in outs]
    assert [worker.wait() for worker in workers] == [0, 0, 0, 0]
    ended = trials_of(tmp_path, url)
    assert len(ended) == N_TRIALS
    by_worker = {trial.user_attrs["worker"]["pid"] for trial in ended}
    print(f"\n{kind}: {len(ended)} trials by {len(by_worker)} of 4 processes")
    assert len(by_worker) > 1


def without_test(real: Path) -> rr.Dataset:
    """Training and validation prompts of openllm1, and the LLMs with all of its scores."""
    data = rr.read_dataset(real / "openllm1").take_covered(1.0)
    parts = split_dataset(data, seed=0)
    ids = [*parts.train.instance_ids, *parts.valid.instance_ids]
    return data.take_instances(np.sort(data.instance_ids.to_index(ids)))


@pytest.mark.realdata
def test_processor_time_of_the_default_trials(real: Path, tmp_path: Path) -> None:
    data = without_test(real)
    space = read_space(dataset=data)
    settings = TuneSettings(n_trials=len(space.parameters))
    study = open_study(open_storage(None, tmp_path / "journal.log"), "s", ["mean_score"], space, {})
    validation, ends = Validation.of(data, settings), [time.process_time()]
    with memo.room(MEMO_ROOM):
        work(study, Job(space, validation, settings), lambda _: ends.append(time.process_time()))
    for trial, seconds in zip(study.trials, np.diff(ends), strict=True):
        folds = len(trial.intermediate_values)
        print(f"\n{trial.user_attrs['label']}: {seconds:.1f} s of processor time, {folds} folds", end="")
    print(f"\ntotal: {ends[-1] - ends[0]:.1f} s")
    assert all(map(is_finished, study.trials))


@pytest.mark.realdata
def test_trials_per_minute_against_a_plain_loop(real: Path, tmp_path: Path) -> None:
    """The same pipelines: a plain Optuna loop splits, encodes, draws pools and fits anew in every trial."""
    learned = without_test(real)
    settings = TuneSettings(n_trials=8, pool_sizes=[3, 10, 100])
    space = read_space(["auto", "hierarchy", "knn", "ridge", "svd"], dataset=learned)
    n_trials, rates = settings.n_trials, {}
    for name in ("ours", "ours, no trial stopped early"):
        memo.forget()
        start = time.perf_counter()
        study = open_study(open_storage(None, tmp_path / name), "s", ["mean_score"], space, {})
        with memo.room(MEMO_ROOM):
            work(study, Job(space, Validation.of(learned, settings), replace(settings, prune=name == "ours")))
        rates[name] = n_trials / (time.perf_counter() - start) * 60

    def objective(trial: optuna.Trial) -> float:
        validation = Validation.of(learned, settings)
        router = space.suggest(trial)
        with memo.room(0):
            return float(np.mean([validation.values(router, fold)[0] for fold in range(len(validation.folds))]))

    start = time.perf_counter()
    plain = optuna.create_study(direction="maximize")
    for trial in study.trials:  # of the run without pruning: the same pipelines in the same order
        plain.enqueue_trial(trial.params)
    plain.optimize(objective, n_trials=n_trials)
    rates["plain loop"] = n_trials / (time.perf_counter() - start) * 60
    values = [trial.value for trial in study.trials if is_finished(trial)]
    assert np.allclose(values, [trial.value for trial in plain.trials])
    for name, rate in rates.items():
        print(f"\n{name}: {rate:.1f} trials a minute, {rate / rates['plain loop']:.1f} times the plain loop", end="")
    print()
