"""Three states as implicit wants them: the one place where scores become confidences."""

import numpy as np
import scipy.sparse as sp

from recroute.data import InteractionMatrix


def to_confidence(interactions: InteractionMatrix, alpha: float) -> sp.csr_matrix:
    """Signed confidences for implicit: instances are its users, LLMs its items.

    implicit reads a positive value c as "preferred, with weight c", a negative one as "not preferred, with
    weight -c", and an absent cell as "not preferred" with weight 1; a stored 0 it ignores. So a score s becomes
    alpha * (2 s - 1): a success +alpha, a failure -alpha, a graded score the surplus of success over failure.
    A score of exactly one half carries no preference either way and is left out, that is, a weak failure.

    Parameters
    ----------
    interactions : InteractionMatrix (n, m)
    alpha : float
        Weight of an observed answer against 1 for an unobserved cell.

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
