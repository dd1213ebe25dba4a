"""`als` for records that outgrow one machine: factors by Spark MLlib, served by an ordinary router."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from recroute.data import Encoder
from recroute.data.spark import SparkDataset, local, spark_session
from recroute.encoders import encode_texts
from recroute.errors import RouterError
from recroute.routers.als import ALS
from recroute.util.numeric import Array

if TYPE_CHECKING:
    from pyspark.ml.recommendation import ALSModel
    from pyspark.sql import DataFrame, SparkSession

RECORDS_PER_BLOCK = 2_000_000  # a task of MLlib holds a block of them, about 16 bytes each, and sorts it
MIN_BLOCKS = 10  # MLlib's default
LEAST = 1e-6  # MLlib tells success from failure by the sign, so that a weight of 0 would be a failure


def fit_als_on_spark(
    path: str,
    router: ALS | None = None,
    *,
    n_sample: int = 20_000,
    encoder: Encoder | None = None,
    spark: SparkSession | None = None,
) -> ALS:
    """Fit `als` on a dataset folder by Spark MLlib; the records never come to this machine.

    MLlib factorises all records of the training instances. The m x k LLM factors come here, and at most `n_sample`
    instances with their prompts, records and factors: on these the encoder (unless it is given) and the bridge are
    fitted, and what unseen LLMs need can be learned. The router is like any other: `save`, `rank`, `add_llms`.

    MLlib gets the coding of `to_confidence`: a success has preference 1 and weight alpha, a failure preference 0 and
    weight alpha, an unobserved cell preference 0 and weight 1. (Its own reading of scores would not do: without
    `implicitPrefs` a 0 is a failure but an unobserved cell has no weight at all, with it a stored 0 is unobserved.) Two
    things differ from `als` on one machine. MLlib multiplies the penalty by an instance's, or an LLM's, number of
    successes; `factor_reg` is divided by the mean number of successes of an instance, so that the average instance has
    the same penalty. And a graded score within 1 / (2 alpha) of one half has weight 1, not less than an unobserved
    cell. The same seed gives the same factors up to rounding, because Spark sums in no fixed order.

    Parameters
    ----------
    path : str
        Folder, or URL that Spark reads, of `records.parquet` and `instances.parquet` with a column `prompt`;
        `llms.parquet` if there. Each may itself be a folder of Parquet files. Where instances have a `split`, those
        of "train" are fitted on, else all.
    router : ALS, optional
        Hyperparameters, all with the meaning they have on one machine.
    n_sample : int
        Instances that come to this machine, drawn by seed; `n_sample` x m scores have to fit in memory several times.
    encoder : Encoder, optional
        Of the prompts. Default: TF-IDF fitted on the sample.
    spark : SparkSession, optional
        Default: the active one, or a new one with the settings of `spark-submit` or Spark's defaults.

    Raises
    ------
    DataError
        Without pyspark or Java; if a table or a column is missing, a score is outside [0, 1], or an id is not in its
        table. Ids and pairs that occur twice are looked for in the sample only.
    RouterError
        If no score is above one half.

    Notes
    -----
    Source: Hu, Koren and Volinsky 2008, with the penalty of Zhou et al. 2008 (ALS-WR). MLlib takes at most 2^31
    instances. It sends an instance's factors to every block of LLMs with a record of it in each epoch.
    """
    router = ALS() if router is None else router
    data = SparkDataset.read(path, spark_session() if spark is None else spark)
    cells = data.records.select("instance", "llm", "score", "train").persist()
    try:
        data.check(cells)
        sample, numbers = data.sample(cells, n_sample, router.seed)
        model = _factorise(router, cells.filter("train"))
        instance_factors = _rows(model.userFactors, numbers, model.rank)
        llm_factors = _rows(model.itemFactors, range(data.llms.height), model.rank)
    finally:
        cells.unpersist()
    if encoder is not None:
        sample = sample.with_embeddings(encode_texts(encoder, sample.prompts or ()), encoder)
    return router.fit_factors(sample, instance_factors, llm_factors)


def _factorise(router: ALS, cells: DataFrame) -> ALSModel:
    """MLlib's model of the instances and LLMs, without those that never succeeded.

    Their factors are zero, and leaving them out changes no other: MLlib would weigh their penalty by zero, and cannot
    solve for them where the others' factors span less than all dimensions.
    """
    from pyspark.ml.recommendation import ALS as MLlib  # noqa: N811
    from pyspark.sql import functions as F  # noqa: N812

    signed = router.alpha * (2 * F.col("score") - 1)  # as in to_confidence
    rating = F.signum(signed) * F.greatest(F.abs(signed) - 1, F.lit(LEAST))  # MLlib adds the 1
    coded = cells.select("instance", "llm", rating.cast("float").alias("rating")).filter("rating != 0")
    successes = coded.filter("rating > 0")
    instances, llms = successes.select("instance").distinct(), successes.select("llm").distinct()
    n_records, n_successes, n_instances, n_llms = (t.count() for t in (coded, successes, instances, llms))
    if n_successes == 0:
        raise RouterError("als has nothing to learn from: no score of a training instance is above one half")
    n_blocks = max(MIN_BLOCKS, n_records // RECORDS_PER_BLOCK)
    return MLlib(
        rank=min(router.n_factors, n_instances, n_llms),
        maxIter=router.n_epochs,
        regParam=router.factor_reg * n_instances / n_successes,
        alpha=1.0,  # the coding carries the weights
        implicitPrefs=True,
        userCol="instance",
        itemCol="llm",
        ratingCol="rating",
        numUserBlocks=n_blocks,
        numItemBlocks=min(n_blocks, n_llms),
        seed=router.seed,
    ).fit(coded.join(instances, "instance", "left_semi").join(F.broadcast(llms), "llm", "left_semi"))


def _rows(factors: DataFrame, numbers: Sequence[int], k: int) -> Array:
    """Factors f64 (len(numbers), k), in that order; zero where there are none."""
    from pyspark.sql import functions as F  # noqa: N812

    wanted = pl.DataFrame({"id": numbers}, schema={"id": pl.Int32})
    there = F.broadcast(factors.sparkSession.createDataFrame(wanted.to_arrow()))
    found = local(factors.join(there, "id", "left_semi"))
    position = wanted.with_row_index("at").join(found, on="id", maintain_order="right")["at"].to_numpy()
    rows = np.zeros((len(numbers), k))
    if found.height:
        rows[position] = np.array(found["features"].to_list())
    return rows
