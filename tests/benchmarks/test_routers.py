"""Opt-in: `pytest tests/benchmarks/test_routers.py -s`. Seconds and memory of one fit of every router.

Prints figures; the machine decides them, so nothing timed is asserted. One process for each router, one thread; the
ratio is to `ridge`, a single Gram matrix and product, on the same data in a process of its own.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from recroute.routers import router_class, router_names

FIT = """
import sys, time
import recroute as rr
from recroute.experiment.prepare import prepare_split
def peak():
    return int([line for line in open("/proc/self/status") if line.startswith("VmHWM")][0].split()[1]) / 1e6
path, coverage, m, name = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
train = prepare_split(rr.read_dataset(path).take_covered(coverage), seed=0).train
train = train.take_llms(range(min(m, train.n_llms)))
rr.make_router("best_single").fit(train)
before, start = peak(), time.perf_counter()
rr.make_router(name).fit(train)
print(train.n_instances, train.n_llms, time.perf_counter() - start, peak(), peak() - before)
"""
FITTED = [n for n in router_names() if router_class(n).needs == "text"]


@pytest.mark.realdata
@pytest.mark.parametrize(("name", "coverage", "n_llms"), [("openllm1", 1, 1000), ("mmlupro", 0, 31)])
def test_one_fit_of_every_router(real: Path, name: str, coverage: float, n_llms: int) -> None:
    found = {}
    for router in ["ridge", *FITTED]:
        command = [sys.executable, "-c", FIT, str(real / name), str(coverage), str(n_llms), router]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found[router] = [float(x) for x in done.stdout.split()]
    n, m = (int(x) for x in found["ridge"][:2])
    print(f"\n{name}: {n} instances x {m} LLMs")
    print(f"{'router':15s} {'seconds':>8s} {'x ridge':>8s} {'peak GB':>8s} {'of it the fit':>14s}")
    for router, (_, _, seconds, peak, own) in found.items():
        print(f"{router:15s} {seconds:8.2f} {seconds / found['ridge'][2]:8.1f} {peak:8.2f} {own:14.2f}")
