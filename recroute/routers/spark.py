"""`als` for records that do not fit on one machine: factors from Spark MLlib in an ordinary router."""

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

RECORDS_PER_BLOCK = 2_000_000  # each MLlib task holds and sorts one block, about 16 bytes per record
MIN_BLOCKS = 10  # MLlib's default
MIN_WEIGHT = 1e-6  # MLlib takes a weight of 0 for a failure


def fit_als_on_spark(
    path: str,
    router: ALS | None = None,
    *,
    n_sample: int = 20_000,
    encoder: Encoder | None = None,
    spark: SparkSession | None = None,
) -> ALS:
    """Fit `als` on a dataset folder with Spark MLlib, without loading the records onto this machine.

    Use this for `als`, whose factors take many passes over the records; for routers that are sums over prompts use
    `fit_on_spark`, which needs one pass.

    MLlib factorises all records of the training instances. Only the m x k LLM factors and at most `n_sample` instances,
    with their prompts, records and factors, are collected. The encoder (unless given) and the bridge are fitted on this
    sample. The result is an ordinary router that can `save`, `rank` and `add_llms`.

    Scores are coded as in `to_confidence`: a success has preference 1 and weight alpha, a failure preference 0 and
    weight alpha, an unobserved cell preference 0 and weight 1. (MLlib cannot read the scores directly: without
    `implicitPrefs` an unobserved cell has no weight at all, and with it a stored 0 counts as unobserved.) Two details
    differ from `als` on one machine. MLlib multiplies the penalty of an instance or LLM by its number of successes;
    `factor_reg` is divided by the mean number of successes per instance, so the average instance has the same penalty.
    And a graded score within 1 / (2 alpha) of one half has weight 1, the weight of an unobserved cell. The same seed
    gives the same factors up to rounding, because Spark does not sum in a fixed order.

    Parameters
    ----------
    path : str
        Folder, or URL that Spark can read, with `records.parquet`, `instances.parquet` (with a column `prompt`) and
        optionally `llms.parquet`. Each may itself be a folder of Parquet files. If instances have a `split`, those of
        "train" are used, otherwise all.
    router : ALS, optional
        Router whose hyperparameters are used; they mean the same as on one machine.
    n_sample : int
        Number of instances to collect, drawn by seed; `n_sample` x m scores must fit in memory several times.
    encoder : Encoder, optional
        Prompt encoder (default: TF-IDF fitted on the sample).
    spark : SparkSession, optional
        Default: the active session, or a new one with the settings of `spark-submit` or Spark's defaults.

    Raises
    ------
    DataError
        If pyspark or Java is not installed, a table or column is missing, a score is outside [0, 1], or an id is not
        in its table. Duplicate ids and pairs are detected in the sample only.
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
    """Fit MLlib's model to the instances and LLMs that have at least one success.

    The factors of the others are zero, and omitting them changes no other factor. MLlib would give them a penalty of
    zero, and could not solve for them if the other factors do not span all dimensions.
    """
    from pyspark.ml.recommendation import ALS as MLlib  # noqa: N811
    from pyspark.sql import functions as F  # noqa: N812

    signed = router.alpha * (2 * F.col("score") - 1)  # as in to_confidence
    rating = F.signum(signed) * F.greatest(F.abs(signed) - 1, F.lit(MIN_WEIGHT))  # MLlib adds the 1
    coded = cells.select("instance", "llm", rating.cast("float").alias("rating")).filter("rating != 0")
    successes = coded.filter("rating > 0")
    instances, llms = successes.select("instance").distinct(), successes.select("llm").distinct()
    n_records, n_successes, n_instances, n_llms = (t.count() for t in (coded, successes, instances, llms))
    if n_successes == 0:
        raise RouterError("als cannot be fitted: no score of a training instance is above 0.5; check the score column")
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
    """Factors f64 (len(numbers), k) of the rows with these numbers, in that order; zero if MLlib has none."""
    from pyspark.sql import functions as F  # noqa: N812

    wanted = pl.DataFrame({"id": numbers}, schema={"id": pl.Int32})
    there = F.broadcast(factors.sparkSession.createDataFrame(wanted.to_arrow()))
    found = local(factors.join(there, "id", "left_semi"))
    position = wanted.with_row_index("at").join(found, on="id", maintain_order="right")["at"].to_numpy()
    rows = np.zeros((len(numbers), k))
    if found.height:
        rows[position] = np.array(found["features"].to_list())
    return rows
