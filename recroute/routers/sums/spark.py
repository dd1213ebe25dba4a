"""Sums over the records of a cluster, added up where they lie."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from recroute.data import Dataset, InteractionMatrix
from recroute.data.parts import with_own_embeddings
from recroute.data.records import with_task
from recroute.data.spark import SparkDataset, executors_errors, spark_session
from recroute.encoders import with_encoder
from recroute.routers.sums.fit import N_SAMPLE, R, block_moments, check_follows_from_sums, fit_on_moments
from recroute.routers.sums.moments import Moments
from recroute.util.state import arrays_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def fit_on_spark(
    path: str,
    router: R,
    *,
    n_sample: int = N_SAMPLE,
    n_test: int = 0,
    keep_sums: bool = False,
    encoder: Any = None,
    spark: SparkSession | None = None,
) -> R:
    """`fit_from_sums` of a dataset folder that Spark reads, without loading the records onto this machine.

    Use this for `best_single`, `ridge`, `svd`, `ease`, `kmeans`, `hierarchy`, `knn` (on a sample) or `auto`; for `als`
    use `fit_als_on_spark`. Where one machine can read the files, `fit_from_sums` gives the same without Spark.

    The sample is fitted here and the router sent to the executors, which need recroute. It is drawn by another hash
    than that of `fit_from_sums`, so smaller samples have other prompts. Each partition adds up its
    prompts (`mapInArrow`), and the sums are merged in a tree.

    Parameters
    ----------
    path : str
        Folder, or URL that Spark can read, as `fit_als_on_spark` takes it; instead of `prompt` the instances may have a
        column `embedding`, a list of numbers.
    router : Router
    n_sample, n_test, keep_sums, encoder
        As in `fit_from_sums`.
    spark : SparkSession, optional
        Default: the active session, or a new one with the settings of `spark-submit` or Spark's defaults.

    Raises
    ------
    DataError
        If pyspark or Java is not installed, or recroute is not on the executors, a table or column is missing, a score
        is outside [0, 1], an id is not in its table, or a pair of instance and LLM occurs twice.
    RouterError
        As `fit_from_sums`.

    Examples
    --------
    >>> import recroute as rr
    >>> router = rr.fit_on_spark("s3a://logs/prompts", rr.make_router("svd"))  # doctest: +SKIP
    """
    check_follows_from_sums(router)
    data = SparkDataset.read(path, spark_session() if spark is None else spark)
    from pyspark.sql import functions as F  # noqa: N812

    cells = data.records.select("instance", "llm", "score", "train").persist()
    try:
        data.check(cells)
        drawn, numbers = data.sample(cells, n_test + n_sample, router.seed)
        in_order = np.argsort(np.array(drawn.instance_ids.ids[n_test:]))  # as `Parts.sample` has them
        sample = drawn.take_instances(n_test + in_order)
        sample = sample if encoder is None else with_encoder(sample, encoder)
        left_out = cells.sparkSession.createDataFrame([(number,) for number in numbers[:n_test]], "instance int")
        answers = F.collect_list(F.struct("llm", "score")).alias("answers")
        of_prompt = cells.filter("train").groupBy("instance").agg(answers)
        prompts = data.instances.join(of_prompt, "instance").join(F.broadcast(left_out), "instance", "left_anti")

        def added_up(fitted: R) -> Moments:
            sums = prompts.mapInArrow(_adding(fitted, data.llms, data.name), "sums binary")
            with executors_errors():
                found: bytes = sums.rdd.map(lambda row: bytes(row.sums)).treeReduce(_merged)
            return _unpacked(found)

        return fit_on_moments(router, sample, added_up, keep_sums=keep_sums)
    finally:
        cells.unpersist()


def _adding(router: R, llms: pl.DataFrame, name: str) -> Callable[[Iterator[Any]], Iterator[Any]]:
    """What an executor does with the prompts of a partition: one row with their sums."""

    def add(batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa

        total: Moments | None = None
        for batch in batches:
            table = pl.from_arrow(batch)
            assert isinstance(table, pl.DataFrame)
            if table.height:
                part = block_moments(router, _block(table, llms, name))
                total = part if total is None else total + part
        if total is not None:
            yield pa.RecordBatch.from_pydict({"sums": [_packed(total)]})

    return add


def _block(table: pl.DataFrame, llms: pl.DataFrame, name: str) -> Dataset:
    """The data set of prompts with their lists of answers."""
    answers = table.select(pl.int_range(pl.len(), dtype=pl.Int32).alias("row"), "answers").explode("answers")
    answers = answers.unnest("answers")
    row, llm, score = (answers[each].to_numpy() for each in ("row", "llm", "score"))
    shape = (table.height, llms.height)
    matrix = InteractionMatrix.from_coordinates(row, llm, score, shape)
    instances, vectors = with_own_embeddings(table.drop("answers", "instance", "train"), name)
    found = Dataset(name, matrix, with_task(instances), llms)
    return found if vectors is None else found.with_embeddings(*vectors)


def _packed(moments: Moments) -> bytes:
    content = io.BytesIO()
    np.savez(content, **arrays_of(moments))  # type: ignore[arg-type]
    return content.getvalue()


def _unpacked(content: bytes) -> Moments:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return Moments(**arrays)


def _merged(one: bytes, other: bytes) -> bytes:
    return _packed(_unpacked(one) + _unpacked(other))
