"""Opt-in: `pytest tests/benchmarks/test_spark.py -s`. Spark in local mode; skipped where pyspark or Java is missing.

What is timed is printed, not asserted: seconds of processor time, which other work on the machine does not change
much, for one epoch as the difference of fits that differ in nothing but their number.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import recroute as rr
from recroute.cli.app import run
from recroute.data import Dataset, InteractionMatrix, write_dataset
from recroute.errors import DataError
from recroute.routers import load_router
from recroute.routers.als import ALS
from recroute.testing import planted_dataset

pytest.importorskip("pyspark", reason="needs the extra: pip install 'recroute[spark]'")
if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
    pytest.skip("needs Java: apt-get install default-jre-headless", allow_module_level=True)

from pyspark.sql import SparkSession

from recroute.data.spark import SparkDataset, local
from recroute.routers.spark import _factorise, fit_als_on_spark

pytestmark = pytest.mark.filterwarnings("default")  # pyspark has some of its own

N_LLMS = 300
RECORDS_OF_A_PROMPT = 4
EPOCHS = (1, 5)


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.memory", "6g")
        .config("spark.sql.shuffle.partitions", "8")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .getOrCreate()
    )
    yield session
    session.stop()


def mixed() -> Dataset:
    """Graded scores, halves, unobserved cells; an instance and an LLM without success."""
    data = planted_dataset(n_instances=60, n_llms=9, missing=0.3)
    rng = np.random.default_rng(0)
    block = data.interactions.dense()
    block[rng.random(block.shape) < 0.2] = 0.8
    block[rng.random(block.shape) < 0.1] = 0.5
    block[3] = 0
    block[:, 5] = 0
    return replace(data, interactions=InteractionMatrix.from_dense(block))


def test_factors_are_those_of_a_dense_solve(spark: Any, tmp_path: Path) -> None:
    """Instance factors for MLlib's LLM factors: a failure is weighed, an unobserved cell is a weak failure."""
    data, router = mixed(), ALS(n_factors=4, alpha=6.0, factor_reg=0.5, n_epochs=3)
    write_dataset(data, tmp_path / "data")
    cells = SparkDataset.read(str(tmp_path / "data"), spark).records
    model = _factorise(router, cells)
    found, llms = (dict(local(t).iter_rows()) for t in (model.userFactors, model.itemFactors))
    assert set(llms) == set(range(9)) - {5}
    V = np.zeros((9, 4))
    V[list(llms)] = list(llms.values())
    block = data.interactions.dense()
    successes = (block > 0.5).sum(axis=1)
    reg = router.factor_reg * (successes > 0).sum() / successes.sum()
    assert set(found) == set(np.flatnonzero(successes))
    for i, row in found.items():
        signed = np.nan_to_num(router.alpha * (2 * block[i] - 1))
        weight = np.maximum(np.abs(signed), 1)  # 1: not observed, a half, or close to it
        gram = (V * weight[:, None]).T @ V + reg * successes[i] * np.eye(4)
        np.testing.assert_allclose(row, np.linalg.solve(gram, V.T @ (weight * (signed > 0))), atol=2e-5)


def test_instances_of_several_files_are_numbered_without_a_gap(spark: Any, tmp_path: Path) -> None:
    data = planted_dataset(n_instances=30, n_llms=3)
    write_dataset(data, tmp_path / "data")
    table = tmp_path / "data" / "instances.parquet"
    table.unlink()
    table.mkdir()
    for start, stop in ((0, 13), (13, 14), (14, 30)):
        data.instances[start:stop].write_parquet(table / f"part-{start}.parquet")
    found = SparkDataset.read(str(tmp_path / "data"), spark)
    assert found.instances.rdd.getNumPartitions() > 1
    assert sorted(local(found.instances)["instance"].to_list()) == list(range(30))
    sample, numbers = found.sample(found.records, 7, 0)
    assert len(set(numbers)) == sample.n_instances == 7
    at = data.instance_ids.to_index(sample.instance_ids)
    np.testing.assert_array_equal(sample.interactions.dense(), data.interactions.dense()[at])
    of_number = dict(local(found.instances.select("instance", "instance_id")).iter_rows())
    assert [of_number[number] for number in numbers] == list(sample.instance_ids)


def test_routes_as_als_on_one_machine(spark: Any, tmp_path: Path) -> None:
    data = planted_dataset(n_instances=900, n_llms=12, noise=0.2, missing=0.3)
    fresh = planted_dataset(n_instances=300, n_llms=12, noise=0.0, seed=1)
    write_dataset(data, tmp_path / "data")
    router = ALS(n_factors=3)
    found = fit_als_on_spark(str(tmp_path / "data"), router, spark=spark)
    assert found is router
    predicted, own = found.score(fresh), ALS(n_factors=3).fit(data).score(fresh)
    truth = fresh.interactions.dense()
    chosen = [truth[np.arange(300), p.argmax(axis=1)].mean() for p in (predicted, own)]
    correlation, apart = np.corrcoef(predicted.ravel(), own.ravel())[0, 1], np.abs(predicted - own).max()
    print(f"\nmean score {chosen[0]:.3f}, own als {chosen[1]:.3f}; correlation {correlation:.5f}, at most {apart:.3f}")
    assert chosen == [1, 1]
    assert correlation > 0.995


def test_the_router_is_an_ordinary_one(spark: Any, tmp_path: Path) -> None:
    data = planted_dataset(n_instances=240, n_llms=12)
    known, unseen = data.take_llms(np.arange(11)), data.take_llms(np.array([11]))
    write_dataset(known, tmp_path / "data")
    fit_als_on_spark(str(tmp_path / "data"), ALS(n_factors=3), spark=spark).save(tmp_path / "router")
    router = load_router(tmp_path / "router")
    assert type(router) is ALS
    assert set(router.rank(["compile the program"], k=3).names[0]) == {"llm-2", "llm-5", "llm-8"}
    grown = router.add_llms(unseen)
    assert set(grown.rank(["compile the program"], k=4).names[0]) == {"llm-2", "llm-5", "llm-8", "llm-11"}


def test_other_parts_and_the_sample_size_leave_the_llm_factors(spark: Any, tmp_path: Path) -> None:
    data = planted_dataset(n_instances=300, n_llms=6)
    split = np.where(np.arange(300) % 5 == 0, "test", "train")
    data = replace(data, instances=data.instances.with_columns(split=pl.Series(split)))
    block = data.interactions.dense()
    block[split == "test"] = 1 - block[split == "test"]
    flipped = replace(data, interactions=InteractionMatrix.from_dense(block))
    factors = []
    for part, n_sample in ((data, 20_000), (flipped, 100)):
        write_dataset(part, tmp_path / "data")
        router = fit_als_on_spark(str(tmp_path / "data"), ALS(n_factors=3), n_sample=n_sample, spark=spark)
        factors.append(router.llm_factors_)
        assert len(router.instance_factors_) == min(n_sample, 240)
    np.testing.assert_allclose(*factors, atol=1e-4)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("score", 1.5, r"score 1\.5 of instance 'i0007'"),
        ("instance_id", "nobody", "'nobody' .*not in instances"),
        ("llm_id", "none", "llm_id 'none' .*not in llms"),
    ],
)
def test_bad_records_are_named(spark: Any, tmp_path: Path, column: str, value: Any, said: str) -> None:
    write_dataset(planted_dataset(), tmp_path / "data")
    records = pl.read_parquet(tmp_path / "data" / "records.parquet").cast(
        {"instance_id": pl.String, "llm_id": pl.String}
    )
    wrong = pl.when((pl.col("instance_id") == "i0007") & (pl.col("llm_id") == "llm-0")).then(pl.lit(value))
    records.with_columns(wrong.otherwise(column).alias(column)).write_parquet(tmp_path / "data" / "records.parquet")
    with pytest.raises(DataError, match=said):
        fit_als_on_spark(str(tmp_path / "data"), spark=spark)


def test_a_folder_without_prompts_is_named(spark: Any, tmp_path: Path) -> None:
    data = planted_dataset()
    write_dataset(replace(data, instances=data.instances.drop("prompt")), tmp_path / "data")
    with pytest.raises(DataError, match="no column prompt"):
        fit_als_on_spark(str(tmp_path / "data"), spark=spark)
    with pytest.raises(DataError, match=r"there is no .*records\.parquet"):
        fit_als_on_spark(str(tmp_path / "nowhere"), spark=spark)
    with pytest.raises(DataError, match=r"Spark cannot reach foo://x/records\.parquet: .*No FileSystem"):
        fit_als_on_spark("foo://x", spark=spark)
    with pytest.raises(DataError, match="cannot be read as parquet"):
        fit_als_on_spark("http://127.0.0.1:1/x", spark=spark)


def test_the_table_of_llms_may_be_missing(spark: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_dataset(planted_dataset(), tmp_path / "data")
    llms = SparkDataset.read(str(tmp_path / "data"), spark).llms["llm_id"].to_list()
    (tmp_path / "data" / "llms.parquet").unlink()
    capfd.readouterr()
    assert SparkDataset.read(str(tmp_path / "data"), spark).llms["llm_id"].to_list() == sorted(llms)
    assert "Exception" not in capfd.readouterr().err


SUMMED = ("best_single", "ridge", "svd(n_factors=3)", "ease", "kmeans", "hierarchy", "knn", "auto")


@pytest.mark.parametrize("name", SUMMED)
def test_sums_are_those_of_one_machine(spark: Any, tmp_path: Path, name: str) -> None:
    """One block, 64 files and Spark, each fitted on the same sample: all prompts."""
    data = planted_dataset(n_instances=640, n_llms=9, noise=0.2, missing=0.3).evaluated()
    fresh = planted_dataset(n_instances=100, n_llms=9, seed=1)
    write_dataset(data, tmp_path / "one")
    for place, n_files in ((tmp_path / "many", 64), (tmp_path / "spark", 8)):
        for table in ("records", "instances"):
            (place / f"{table}.parquet").mkdir(parents=True)
            rows = pl.read_parquet(tmp_path / "one" / f"{table}.parquet").cast({"instance_id": pl.String})
            part = pl.col("instance_id").hash(0) % n_files
            for i in range(n_files):
                rows.filter(part == i).write_parquet(place / f"{table}.parquet" / f"{i}.parquet")
    found = [
        rr.fit_from_sums(tmp_path / "one", rr.make_router(name)),
        rr.fit_from_sums(tmp_path / "many", rr.make_router(name)),
        rr.fit_on_spark(str(tmp_path / "spark"), rr.make_router(name), spark=spark),
    ]
    samples = [sorted(router.training_prompts["instance_id"]) for router in found]
    assert samples == [sorted(data.instance_ids)] * 3
    one, many, on_spark = (router.score(fresh) for router in found)
    print(f"\n{name}: 64 files differ by {np.abs(many - one).max():.1e}, Spark by {np.abs(on_spark - one).max():.1e}")
    np.testing.assert_allclose(many, one, atol=1e-6)
    np.testing.assert_allclose(on_spark, one, atol=1e-6)


@pytest.mark.parametrize(("name", "by_prompts"), [("knn", True), ("svd", False)])
def test_the_command_line_says_what_a_router_learned_from(
    spark: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, by_prompts: bool
) -> None:
    data = planted_dataset(n_instances=240, n_llms=6)
    write_dataset(replace(data, card={"simulated": True}), tmp_path / "data")
    for engine, more, n in (("spark", [], 240), ("blocks", ["--test", "40"], 200)):
        router = str(tmp_path / engine)
        fit = ["fit", str(tmp_path / "data"), "--router", name, "--engine", engine, "--sample", "100", *more]
        capsys.readouterr()
        assert run([*fit, "--out", router, "--json", f"{router}.json"]) == 0
        said = " ".join(capsys.readouterr().out.split())
        sizes = f"a sample of 100 of {n} instances" if by_prompts else f"{n} instances (sample: 100)"
        assert f"fitted on {sizes} x 6 LLMs of data (SIMULATED DATA)" in said
        facts = json.loads(Path(f"{router}.json").read_text(encoding="utf8"))
        assert (facts["n_train"], facts["n_sample"], facts["n_summed"]) == (100 if by_prompts else n, 100, n)
        assert run(["route", router, "compile the program"]) == 0


@pytest.mark.parametrize(
    ("python", "code", "said"),
    [
        (None, 0, "fitted on 240 instances x 6 LLMs of data"),
        ("/usr/bin/python3", 2, "the Python of Spark's executors cannot run recroute: No module named"),
    ],
)
def test_executors_run_the_python_of_the_driver(tmp_path: Path, python: str | None, code: int, said: str) -> None:
    """Without an activated environment: the first `python3` of the path has no recroute."""
    if python is not None and not Path(python).exists():
        pytest.skip(f"no {python}")
    write_dataset(planted_dataset(n_instances=240, n_llms=6), tmp_path / "data")
    java = "" if (found := shutil.which("java")) is None else f"{Path(found).parent}:"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYSPARK_")}
    environment |= {"PATH": f"{java}{os.defpath}"} | ({} if python is None else {"PYSPARK_PYTHON": python})
    fit = [sys.executable, "-m", "recroute", "fit", "data", "--engine", "spark", "--router", "svd", "--out", "router"]
    done = subprocess.run(fit, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert said in done.stdout + done.stderr


def test_a_pair_that_occurs_twice_outside_the_sample_is_refused(spark: Any, tmp_path: Path) -> None:
    data = planted_dataset(n_instances=240, n_llms=6)
    write_dataset(data, tmp_path / "data")
    file = tmp_path / "data" / "records.parquet"
    kept = rr.fit_on_spark(str(tmp_path / "data"), rr.make_router("svd"), n_sample=50, spark=spark).training_prompts
    records = pl.read_parquet(file).cast({"instance_id": pl.String})
    other = next(name for name in data.instance_ids if name not in set(kept["instance_id"]))
    pl.concat([records, records.filter(instance_id=other)[:1]]).write_parquet(file)
    with pytest.raises(DataError, match="without duplicates; keep one score"):
        rr.fit_on_spark(str(tmp_path / "data"), rr.make_router("svd"), n_sample=50, spark=spark)


def write_log(folder: Path, n_records: int) -> None:
    """Like a production log: four records a prompt, 300 LLMs of three skills and a popularity."""
    rng = np.random.default_rng(0)
    n = n_records // RECORDS_OF_A_PROMPT
    first, step = rng.integers(0, N_LLMS, n), rng.integers(1, N_LLMS // RECORDS_OF_A_PROMPT, n)
    llm = ((first[:, None] + step[:, None] * np.arange(RECORDS_OF_A_PROMPT)) % N_LLMS).ravel()
    instance = np.repeat(np.arange(n), RECORDS_OF_A_PROMPT)
    score = (rng.random(n_records) < np.where(instance % 3 == llm % 3, 0.8, 0.4)).astype(np.float32)
    folder.mkdir()
    ids = pl.Series("instance_id", np.arange(n)).cast(pl.String)
    llms = pl.Series("llm_id", [f"llm-{j:03d}" for j in range(N_LLMS)])
    pl.DataFrame({"instance_id": ids.gather(instance), "llm_id": llms.gather(llm), "score": score}).write_parquet(
        folder / "records.parquet", row_group_size=1 << 18
    )
    pl.DataFrame({"instance_id": ids}).with_columns(
        prompt=pl.format("prompt of kind {} number {}", pl.Series(np.arange(n) % 3), "instance_id"), task=pl.lit("all")
    ).write_parquet(folder / "instances.parquet", row_group_size=1 << 18)
    llms.to_frame().write_parquet(folder / "llms.parquet")


def spent(spark: Any) -> tuple[float, float]:
    """Processor seconds of the JVM so far, and the most memory it had, in GB."""
    pid = spark.sparkContext._jvm.java.lang.ProcessHandle.current().pid()
    times = Path(f"/proc/{pid}/stat").read_text("utf8").rsplit(")", 1)[1].split()
    peak = next(line for line in Path(f"/proc/{pid}/status").read_text("utf8").splitlines() if line.startswith("VmHWM"))
    return (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK"), int(peak.split()[1]) / 1e6


@pytest.mark.parametrize("n_records", [1_000_000, 10_000_000])
def test_rate(spark: Any, tmp_path: Path, n_records: int) -> None:
    write_log(tmp_path / "log", n_records)
    data = SparkDataset.read(str(tmp_path / "log"), spark)
    cells = data.records.select("instance", "llm", "score", "train").persist()
    start, _ = spent(spark)
    data.check(cells)
    read, fits = spent(spark)[0] - start, []
    _factorise(ALS(n_epochs=2), cells.filter("instance < 50000"))  # compiled and warm
    for n_epochs in EPOCHS:
        start, _ = spent(spark)
        _factorise(ALS(n_epochs=n_epochs), cells)
        fits.append(spent(spark)[0] - start)
    cells.unpersist()
    epoch = (fits[1] - fits[0]) / (EPOCHS[1] - EPOCHS[0])
    around = fits[0] - EPOCHS[0] * epoch
    print(
        f"\n{n_records:,} records, 16 factors, processor seconds: reading and joining {read:.1f}, around the epochs "
        f"{around:.1f}, an epoch {epoch:.2f}: {n_records / epoch:,.0f} records a second and core; "
        f"peak {spent(spark)[1]:.1f} GB"
    )
