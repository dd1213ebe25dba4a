"""Coding of scores, failures and unobserved cells for implicit and lightfm, as confidences or preferences."""

import numpy as np
import scipy.sparse as sp

from recroute.data import InteractionMatrix

TOLERANCE = 1e-6  # scores that differ by less count as equal, because their mean is rounded


def to_confidence(interactions: InteractionMatrix, alpha: float) -> sp.csr_matrix:
    """Signed confidences for implicit, with instances as users and LLMs as items.

    implicit reads a positive value c as "preferred, with weight c", a negative value as "not preferred, with weight
    -c", and an absent cell as "not preferred, with weight 1"; it ignores a stored 0. So a score s becomes
    alpha * (2 s - 1): a success +alpha, a failure -alpha, a graded score something between. A score of exactly one half
    expresses no preference and is left out, which implicit reads as a weak failure.

    Parameters
    ----------
    interactions : InteractionMatrix (n, m)
    alpha : float
        Weight of an observed answer, relative to 1 for an unobserved cell.

    Returns
    -------
    scipy.sparse.csr_matrix f32 (n, m), without stored zeros

    Examples
    --------
    >>> scores = InteractionMatrix.from_dense([[1.0, 0.0, float("nan"), 0.75]])
    >>> to_confidence(scores, alpha=4.0).toarray()
    array([[ 4., -4.,  0.,  2.]], dtype=float32)
    """
    scores = interactions.scores
    signed = (alpha * (2 * scores.data - 1)).astype(np.float32)
    coded = sp.csr_matrix((signed, scores.indices.copy(), scores.indptr.copy()), shape=scores.shape)
    coded.eliminate_zeros()
    return coded


def to_outcomes(interactions: InteractionMatrix, alpha: float = 1.0) -> sp.csr_matrix:
    """Two columns per LLM, success and failure, for losses that accept only weighted positive events.

    A score s becomes `alpha * s` in the LLM's success column and `alpha * (1 - s)` in its failure column; zeros are not
    stored. An unobserved cell is in neither column, so a negative sampled there moves both alike.

    Parameters
    ----------
    interactions : InteractionMatrix (n, m)
    alpha : float
        Weight of an observed answer.

    Returns
    -------
    scipy.sparse.csr_matrix f32 (n, 2m)
        Columns 0..m-1 are successes, m..2m-1 failures; without stored zeros.

    Examples
    --------
    >>> scores = InteractionMatrix.from_dense([[1.0, 0.0, float("nan"), 0.75]])
    >>> to_outcomes(scores, alpha=4.0).toarray()
    array([[4., 0., 0., 3., 0., 4., 0., 1.]], dtype=float32)
    """
    scores = interactions.scores
    failures = sp.csr_matrix((1 - scores.data, scores.indices, scores.indptr), shape=scores.shape)
    coded = sp.csr_matrix(sp.hstack([scores, failures], format="csr") * np.float32(alpha))
    coded.eliminate_zeros()
    coded.sort_indices()
    return coded


def to_preferences(interactions: InteractionMatrix) -> sp.csr_matrix:
    """Preferences for pairwise ranking losses: LLMs above the instance's mean score over those below it.

    Such a loss reads a stored positive as "preferred" and samples its opponents from the cells that are *not* stored.
    So a score above the mean of the instance's observed scores is stored as 1, one below it is not stored, and cells
    that must not be sampled are stored as -1: unobserved ones and scores equal to the mean. An instance whose observed
    scores are all equal does not compare LLMs and is -1 throughout.

    Parameters
    ----------
    interactions : InteractionMatrix (n, m)

    Returns
    -------
    scipy.sparse.csr_matrix f32 (n, m)

    Examples
    --------
    >>> scores = InteractionMatrix.from_dense([[1.0, 0.0, float("nan")], [0.5, 0.5, 0.5]])
    >>> to_preferences(scores).toarray()
    array([[ 1.,  0., -1.],
           [-1., -1., -1.]], dtype=float32)
    """
    block = interactions.dense()
    n_observed = interactions.instance_counts
    mean = np.nansum(block, axis=1, dtype=np.float64) / np.maximum(n_observed, 1)
    surplus = np.nan_to_num(block - mean[:, None])
    coded = np.where(surplus > TOLERANCE, 1, np.where(surplus < -TOLERANCE, 0, -1))
    return sp.csr_matrix(coded.astype(np.float32))
