"""A dataset folder in Spark: the records stay on the cluster, small tables and samples come here."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from recroute.data.dataset import Dataset
from recroute.data.parts import VECTORS, with_own_embeddings
from recroute.data.records import Records
from recroute.data.schema import listed
from recroute.errors import DataError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ROW_BITS = 33  # of monotonically_increasing_id: the rest numbers the partition


def spark_session() -> SparkSession:
    """The active session, or a new one with the settings of `spark-submit`, or Spark's defaults.

    In local mode executors run this Python, unless `PYSPARK_PYTHON` names another; Spark itself would take the first
    `python3` of the path, which need not have recroute.

    Raises
    ------
    DataError
        Without pyspark or Java.
    """
    try:
        from pyspark.errors import PySparkRuntimeError
        from pyspark.sql import SparkSession
    except ImportError:
        raise DataError("Spark is not installed; pip install 'recroute[spark]'") from None
    try:
        spark = SparkSession.builder.getOrCreate()
    except PySparkRuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(f"Spark does not start: {reason}; install a Java runtime and set JAVA_HOME") from None
    if "PYSPARK_PYTHON" not in os.environ and spark.sparkContext.master.startswith("local"):
        spark.sparkContext.pythonExec = sys.executable
    return spark


@contextmanager
def executors_errors() -> Iterator[None]:
    """Context manager: a DataError of an executor is one here, and so is an executor that lacks a package."""
    from pyspark.errors import PythonException

    try:
        yield
    except PythonException as error:
        kind, _, reason = str(error).strip().splitlines()[-1].partition(": ")
        if kind == f"{DataError.__module__}.{DataError.__qualname__}":
            raise DataError(reason) from None
        if kind == "ModuleNotFoundError":
            raise DataError(
                f"the Python of Spark's executors cannot run recroute: {reason}; install recroute there, or set "
                "PYSPARK_PYTHON to a Python that has it"
            ) from None
        raise


@dataclass(frozen=True, eq=False)
class SparkDataset:
    """A dataset folder whose records nobody collects.

    Parameters
    ----------
    name : str
    records : pyspark.sql.DataFrame
        `instance_id str, llm_id str, score f32`, and beside them `instance int, llm int`, null where the tables do not
        know the id, and `train bool`.
    instances : pyspark.sql.DataFrame
        `instance_id`, what the folder says of it, `instance int` from 0 on without a gap, and `train bool`.
    llms : polars.DataFrame
        m rows; an LLM's number is its position.
    """

    name: str
    records: DataFrame
    instances: DataFrame
    llms: pl.DataFrame

    @classmethod
    def read(cls, path: str, spark: SparkSession) -> SparkDataset:
        """Read `records.parquet`, `instances.parquet` and, if there, `llms.parquet` in a folder, which may be a URL.

        Raises
        ------
        DataError
            If a table or a column is missing, or ids are no text.
        """
        from pyspark.sql import functions as F  # noqa: N812

        folder = path.rstrip("/")
        records = _table(spark, f"{folder}/records.parquet", ("instance_id", "llm_id"), ("score",))
        instances = _table(spark, f"{folder}/instances.parquet", ("instance_id",))
        try:
            llms = local(_table(spark, f"{folder}/llms.parquet", ("llm_id",)))
        except _NoTableError:
            llms = local(records.select("llm_id").distinct().orderBy("llm_id"))
        train = F.col("split") == "train" if "split" in instances.columns else F.lit(True)
        instances = _numbered(instances.withColumn("train", train))
        records = (
            records.withColumn("score", F.col("score").cast("float"))
            .join(instances.select("instance_id", "instance", "train"), "instance_id", "left")
            .join(F.broadcast(spark.createDataFrame(_positions(llms).to_arrow())), "llm_id", "left")
        )
        return cls(folder.rsplit("/", 1)[-1], records, instances, llms)

    def check(self, cells: DataFrame) -> None:
        """Raise DataError if `cells`, columns of `records`, hold a score outside [0, 1] or an unknown id."""
        from pyspark.sql import functions as F  # noqa: N812

        bad_score = F.col("score").isNull() | F.isnan("score") | ~F.col("score").between(0, 1)
        faults = {
            "score": (bad_score, "is outside [0, 1]; scale the scores or fix that row"),
            "instance_id": (F.col("instance").isNull(), "is not in instances.parquet; add it there"),
            "llm_id": (F.col("llm").isNull(), "is not in llms.parquet; add it there"),
        }
        counts = cells.agg(*(F.count_if(condition).alias(name) for name, (condition, _) in faults.items())).first()
        for name, (condition, mend) in faults.items():
            if counts[name]:
                row = self.records.filter(condition).first()
                raise DataError(
                    f"{name} {row[name]!r} of instance {row['instance_id']!r}, llm {row['llm_id']!r} in "
                    f"{self.name}/records.parquet {mend} ({counts[name]} such rows)"
                )

    def sample(self, cells: DataFrame, n: int, seed: int) -> tuple[Dataset, list[int]]:
        """At most n training instances that have a prompt, all LLMs and the records between them.

        Parameters
        ----------
        cells : pyspark.sql.DataFrame
            `instance, llm, score` of `records`, perhaps persisted.
        n, seed : int

        Returns
        -------
        Dataset, and the numbers of its instances

        Raises
        ------
        DataError
            If there is none, or what is drawn is not what `Dataset` asks for.
        """
        from pyspark.sql import functions as F  # noqa: N812

        text = next((name for name in ("prompt", VECTORS) if name in self.instances.columns), None)
        if text is None:
            raise DataError(f"{self.name}/instances.parquet has no column prompt; add it")
        order = F.xxhash64(F.lit(seed), "instance_id")  # the same draw whatever the partitions
        instances = local(self.instances.filter(f"train AND {text} IS NOT NULL").orderBy(order, "instance_id").limit(n))
        numbers = cells.sparkSession.createDataFrame(instances.select("instance").unique().to_arrow())
        found = local(cells.select("instance", "llm", "score").join(F.broadcast(numbers), "instance", "left_semi"))
        ids, llm_ids = instances.select("instance", "instance_id"), _positions(self.llms)
        records = found.join(ids, on="instance").join(llm_ids, on="llm")
        numbered = instances["instance"].to_list()
        instances, vectors = with_own_embeddings(instances.drop("instance", "train"), self.name)
        sample = Dataset.from_records(
            Records(records.sort("instance", "llm"), f"{self.name}/records.parquet"),
            name=self.name,
            instances=instances,
            llms=self.llms,
        )
        return sample if vectors is None else sample.with_embeddings(*vectors), numbered


def local(table: DataFrame) -> pl.DataFrame:
    """A small table, here."""
    found = pl.from_arrow(table.toArrow())
    assert isinstance(found, pl.DataFrame)
    return found


def _positions(llms: pl.DataFrame) -> pl.DataFrame:
    return llms.select("llm_id", llm=pl.int_range(pl.len(), dtype=pl.Int32))


class _NoTableError(DataError):
    pass


def _table(spark: SparkSession, path: str, texts: tuple[str, ...], others: tuple[str, ...] = ()) -> DataFrame:
    from pyspark.errors import PySparkException

    if not _is_there(spark, path):  # reading it would print a trace of Java, also where it need not be there
        raise _NoTableError(f"there is no {path}; a dataset folder on Spark needs it")
    try:
        table = spark.read.parquet(path)
    except PySparkException as error:
        raise DataError(f"{path} cannot be read as parquet: {str(error).splitlines()[0]}; write it again") from None
    kinds: dict[str, Any] = dict(table.dtypes)
    for column in (*texts, *others):
        if column not in kinds:
            raise DataError(f"column {column!r} is missing in {path} ({listed(list(kinds))}); rename or add it")
        if column in texts and kinds[column] != "string":
            raise DataError(f"{column} is {kinds[column]} in {path}, not text; write ids as text")
    return table.select(*texts, *others) if others else table


def _is_there(spark: SparkSession, path: str) -> bool:
    """Whether a file system that Spark can reach has a file or folder there; a path may have wildcards."""
    from py4j.protocol import Py4JJavaError

    context = spark.sparkContext
    place = context._jvm.org.apache.hadoop.fs.Path(path)
    try:
        return bool(place.getFileSystem(context._jsc.hadoopConfiguration()).globStatus(place))
    except Py4JJavaError as error:
        reason = str(error.java_exception).splitlines()[0]
        raise DataError(f"Spark cannot reach {path}: {reason}; mend the address, or Spark's settings for it") from None


def _numbered(table: DataFrame) -> DataFrame:
    """The table with `instance` 0, 1, ...: the rows before its partition, plus the row's place in it."""
    from pyspark.sql import functions as F  # noqa: N812

    placed = table.withColumn("_row", F.monotonically_increasing_id())
    partition = F.shiftright("_row", ROW_BITS)
    sizes = local(placed.groupBy(partition.alias("_partition")).count()).sort("_partition")
    first = sizes.select("_partition", _first=pl.col("count").cum_sum() - pl.col("count"))
    numbered = placed.withColumn("_partition", partition).join(
        F.broadcast(table.sparkSession.createDataFrame(first.to_arrow())), "_partition"
    )
    instance = F.col("_first") + F.col("_row").bitwiseAND(2**ROW_BITS - 1)
    return numbered.withColumn("instance", instance.cast("int")).drop("_row", "_partition", "_first")
