"""From a router and prompts to the error of its predictions: the evidence, its nearest prompts, the model of both."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from recroute.data import Dataset, InteractionMatrix
from recroute.errors import RouterError
from recroute.routers.instances import Instances, n_instances, read_instances
from recroute.routers.memory.evidence import Evidence
from recroute.routers.memory.remembering import RememberingRouter
from recroute.routers.memory.score_error import N_NEAR, Nearest, ScoreError
from recroute.util.numeric import Floats

PROMPT_COLUMNS = {"instance_id": pl.String, "prompt": pl.String}


def score_std(
    router: RememberingRouter, instances: Instances, llm_index: NDArray[np.int64], *, reducible: bool
) -> Floats:
    """See `Router.score_std`."""
    error = score_error(router)
    known = encoded(router, instances)
    if n_instances(known) == 0:
        return np.zeros((0, len(llm_index)), dtype=np.float32)
    predicted = router.predicted_score(known, llm_index)
    variance = error.variance(predicted, nearest(router, error.evidence, known), llm_index, reducible=reducible)
    return np.sqrt(variance).astype(np.float32)


def evidence_of(router: RememberingRouter) -> Evidence:
    """What the router keeps of its training scores; RouterError if it keeps none."""
    router.llm_index()  # raises if not fitted
    if router.background_ is None or (evidence := router.background_.evidence) is None:
        raise RouterError(
            f"this {router.name} router keeps no scores of its training prompts (fitted on preferences alone, or by an "
            "older version) and cannot say how sure it is; fit it again, on scores"
        )
    return evidence


def score_error(router: RememberingRouter) -> ScoreError:
    """Learned when it is first needed, and again for other evidence."""
    evidence = evidence_of(router)
    found: ScoreError | None = vars(router).get("_score_error")
    if found is None or found.evidence is not evidence:
        background = router.background_
        assert background is not None  # it keeps the evidence
        llms = pl.DataFrame({"llm_id": list(router.llm_ids_)})

        def predict(rows: NDArray[np.int64], llm_index: NDArray[np.int64]) -> Floats:
            scores, prompts = evidence.scores.take_instances(rows), background.prompts[rows]
            known = Dataset("training prompts", scores, prompts, llms)
            if evidence.vectors is not None and router.encoder_ is not None:
                known = known.with_embeddings(np.asarray(evidence.vectors[rows]), router.encoder_)
            return router.predicted_score(known, llm_index)

        with threadpool_limits(limits=1, user_api="blas"):
            found = ScoreError.learn(evidence, router.llm_mean_, predict)
        vars(router)["_score_error"] = found
    return found


def encoded(router: RememberingRouter, instances: Instances) -> Instances:
    """Prompts as a data set with their vectors, so that they are encoded once; what is no list of prompts as it is."""
    known = read_instances(instances)
    if not isinstance(known, list) or not known or router.needs != "text" or router.encoder_ is None:
        return known
    b, m = len(known), len(router.llm_ids_)
    texts = [text.encode("utf8", "replace").decode() for text in known]  # a table holds no half of a surrogate pair
    table = pl.DataFrame({"instance_id": [str(i) for i in range(b)], "prompt": texts}, schema=PROMPT_COLUMNS)
    return Dataset(
        "prompts",
        InteractionMatrix.empty(b, m),
        table.with_columns(pl.lit("").alias("task")),
        pl.DataFrame({"llm_id": list(router.llm_ids_)}),
        router.vectors(known),
        router.encoder_,
    )


def nearest(router: RememberingRouter, evidence: Evidence, known: Instances, k: int = N_NEAR) -> Nearest | None:
    """The k nearest known prompts by cosine of the router's own vectors; None where it reads no text."""
    if evidence.vectors is None or router.needs != "text":
        return None
    return evidence.neighbors.search(router.vectors(known), k)
