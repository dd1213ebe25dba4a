"""From a router and prompts to the error of its predictions: the evidence, its nearest prompts, the model of both."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from recroute.data import Prompts
from recroute.data.prompts import Instances
from recroute.errors import RouterError
from recroute.routers.memory.evidence import Evidence
from recroute.routers.memory.remembering import RememberingRouter
from recroute.routers.memory.score_error import N_NEAR, Nearest, ScoreError
from recroute.util.numeric import Floats


def score_std(
    router: RememberingRouter, instances: Instances, llm_index: NDArray[np.int64], *, reducible: bool
) -> Floats:
    """See `Router.score_std`."""
    error = score_error(router)
    known = router.prompts(instances)
    if known.n == 0:
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

        def predict(rows: NDArray[np.int64], llm_index: NDArray[np.int64]) -> Floats:
            known = background.sample(rows, router.llm_ids_, router.encoder_)
            return router.predicted_score(known, llm_index)

        with threadpool_limits(limits=1, user_api="blas"):
            found = ScoreError.learn(evidence, router.llm_mean_, predict)
        vars(router)["_score_error"] = found
    return found


def nearest(router: RememberingRouter, evidence: Evidence, known: Prompts, k: int = N_NEAR) -> Nearest | None:
    """The k nearest known prompts by cosine of the router's own vectors; None where it reads no text."""
    if evidence.vectors is None or router.needs != "text":
        return None
    return evidence.neighbors.search(router.vectors(known), k)
