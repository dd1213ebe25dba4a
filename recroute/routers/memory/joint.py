"""What LLMs' scores on one prompt say about each other: the joint distribution behind second attempts and sets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from recroute.routers.factorisation import fold_in, truncated_svd
from recroute.routers.memory.verifier import EXACT, Verifier
from recroute.routers.subspace import common_factors
from recroute.util.numeric import Array, Floats, Index, evenly
from recroute.util.state import array

if TYPE_CHECKING:
    from recroute.routers.memory.new_llms import NewLLMs

MAX_FACTORS = 64
MAX_DIRECTIONS = 16
N_COMMON = 8  # factors of the deviations of scores that were not all observed
OWN = 0.4  # weight of a training score itself beside what the other LLMs' scores on that prompt say of it
NEAR = 0.05  # share of the training prompts that count as near a prompt
LEAST_NEAR = 30
SURE = 0.02  # no score is expected to be nearer than this to 0 or 1


@dataclass(frozen=True, eq=False)
class JointScores:
    """Joint distribution of the LLMs' scores on one prompt: a mixture over c training prompts.

    Component i assumes that the LLMs do as they did on training prompt i: LLM l has the expected score
    `mean[l] + loadings[i] . factors[l]`, and the LLMs' scores are independent. The prior weight of a component falls
    with the distance between the router's predictions for the new prompt and for the training prompt. A shift makes
    the expected scores before any attempt equal to the router's. Each observed score updates the weights by Bayes'
    rule; from then on the shift is left out (a little better on validation instances in the mean of five data sets, see
    `tests/benchmarks/test_attempts_value.py`).

    Parameters
    ----------
    mean : f32 (m,)
    factors : f32 (m, r)
    loadings : f32 (c, r)
    level : f32 (m,)
        Mean of what the router predicts of the training prompts when it was not fitted on them.
    directions : f32 (m, q)
        Along which these predictions differ; none for a router that predicts the same for all.
    profiles : f32 (c, q)
    dispersion : f32 (m,)
        Variance of an LLM's score around its expectation, over that of a score that is 0 or 1.
    """

    mean: Floats = array("n_llms")
    factors: Floats = array("n_llms", "n_joint_factors?")
    loadings: Floats = array("n_joint", "n_joint_factors?")
    level: Floats = array("n_llms")
    directions: Floats = array("n_llms", "n_directions?")
    profiles: Floats = array("n_joint", "n_directions?")
    dispersion: Floats = array("n_llms")

    @classmethod
    def learn(cls, scores: Floats, predicted: Floats, covariance: Array | None = None) -> JointScores:
        """Learn from scores f32 (n, m), NaN where unobserved, and the router's out-of-fold predictions f32 (n, m).

        An observed score is an expectation plus noise. The expectation is estimated as a weighted mean of the score
        itself (weight `OWN`) and of what the other LLMs' scores on the same prompt tell: their regression, with shrunk
        correlations, or where cells are unobserved what follows from the common factors of `covariance` f64 (m, m),
        that of the scores' deviations from the predictions. These tell of the unobserved cells, too; without a
        covariance their expectation is the prediction.
        Source of the shrinkage: Schäfer and Strimmer, A shrinkage approach to large-scale covariance matrix
        estimation, Statistical Applications in Genetics and Molecular Biology 2005.
        """
        expected = predicted.astype(np.float64)
        observed = ~np.isnan(scores)
        deviation = np.where(observed, scores - expected, 0.0)
        if covariance is None:
            told = np.where(observed, _by_others(deviation), 0.0)
        else:
            told = _by_common_factors(deviation, observed.astype(np.float64), covariance)
        smooth = expected + np.where(observed, OWN * deviation + (1 - OWN) * told, told)
        mean = smooth.mean(axis=0)
        factors, loadings = truncated_svd((smooth - mean).T, MAX_FACTORS)
        level = expected.mean(axis=0)
        directions, profiles = truncated_svd((expected - level).T, MAX_DIRECTIONS)
        arrays = mean, factors, loadings, level, directions, profiles, _dispersion(scores, expected + told)
        return cls(*(np.asarray(values, dtype=np.float32) for values in arrays))

    def grown(self, new: NewLLMs) -> JointScores:
        """The distribution with new LLMs, whose scores may be known on some of the training prompts.

        Their arrays are predicted from the LLMs' vectors. Mean and factors are then corrected by the scores: Bayesian
        linear regression of score less expected score on the prompts' loadings. The prior variance of a coefficient is
        the squared error of its prediction for known LLMs, which is large where these are few.
        """
        arrays = {
            name: np.concatenate(
                [values, new.parameters(values.reshape(len(values), -1)).reshape(-1, *values.shape[1:])]
            )
            for name, values in self._of_llms().items()
        }
        m, rows = len(self.mean), evenly(len(new.scores), len(self.loadings))
        inputs = np.column_stack([np.ones(len(rows)), self.loadings]).astype(np.float64)  # (c, 1 + r)
        errors = new.parameter_errors(np.column_stack([self.mean, self.factors]))
        precision = np.diag(1 / np.maximum(errors, 1e-9))
        noise = max(float((self.mean * (1 - self.mean)).mean()), SURE)
        for j, scores in enumerate(new.scores[rows].T.astype(np.float64), start=m):
            seen = ~np.isnan(scores)
            own = np.append(arrays["mean"][j], arrays["factors"][j])
            error, used = scores[seen] - inputs[seen] @ own, inputs[seen]
            own += np.linalg.solve(used.T @ used / noise + precision, used.T @ error / noise)
            arrays["mean"][j], arrays["factors"][j] = own[0], own[1:]
        return replace(self, **{name: values.astype(np.float32) for name, values in arrays.items()})

    def _of_llms(self) -> dict[str, Floats]:
        """The arrays with a row for each LLM."""
        names = ("mean", "factors", "level", "directions", "dispersion")
        return {name: getattr(self, name) for name in names}

    def belief(self, predicted: Floats, lasting: Floats | None = None) -> Belief:
        """The belief before any attempt, from the router's predictions f32 (b, m) for all LLMs.

        `lasting` f32 (b, m) is the part of them that was learned after the training prompts were scored.
        """
        own = (predicted - self.level - (0 if lasting is None else lasting)) @ self.directions  # (b, q)
        distance = (own**2).sum(axis=1)[:, None] - 2 * own @ self.profiles.T + (self.profiles**2).sum(axis=1)
        rank = min(max(int(NEAR * len(self.profiles)), LEAST_NEAR), len(self.profiles)) - 1
        distance = np.maximum(distance, 0)
        scale = np.partition(distance, rank, axis=1)[:, rank, None]
        nearest = distance.min(axis=1, keepdims=True)
        weight = np.exp((nearest - distance) / np.maximum(scale, 1e-9)).astype(np.float32)
        weight /= weight.sum(axis=1, keepdims=True)
        mixed = self.mean + (weight @ self.loadings) @ self.factors.T
        return Belief(self, predicted - mixed, weight, lasting)


@dataclass(eq=False)
class Belief:
    """Distribution of the LLMs' scores on b prompts, given the answers observed so far.

    Parameters
    ----------
    joint : JointScores
    shift : f32 (b, m)
        The router's predictions less the mixture's; `lasting` once a score was observed.
    weight : f32 (b, c)
        Of the training prompts.
    lasting : f32 (b, m), optional
        What is added to the mixture whatever is observed. Default: nothing.
    """

    joint: JointScores
    shift: Floats
    weight: Floats
    lasting: Floats | None = None

    def expected(self, llm_index: Index | None = None) -> Floats:
        """Expected scores f32 (b, k) of these LLMs, default all, given what was observed."""
        at = slice(None) if llm_index is None else llm_index
        mixed = (self.weight @ self.joint.loadings) @ self.joint.factors[at].T  # (b, c) x (c, r) x (r, k)
        return np.asarray(self.joint.mean[at] + mixed + self.shift[:, at], dtype=np.float32)

    def of_each(self, llm: Index) -> Floats:
        """Expected score f32 (b, c) of one LLM for each prompt, int (b,), in every training prompt."""
        rows = np.arange(len(llm))
        base = self.joint.mean[llm] + self.shift[rows, llm]
        of_each = base[:, None] + self.joint.factors[llm] @ self.joint.loadings.T
        return np.asarray(of_each.clip(SURE, 1 - SURE), dtype=np.float32)

    def observed(self, llm: Index, score: Floats, verifier: Verifier = EXACT) -> Belief:
        """The belief once one LLM was tried on each prompt.

        Parameters
        ----------
        llm : int (b,)
        score : f32 (b,)
            Of its answer, 0 to 1; with a verifier that is not exact its verdict, 0 or 1; NaN for one not tried.
        verifier : Verifier
        """
        expected = self.of_each(llm)
        verdict = np.where(np.isnan(score), 0, score)[:, None]
        if verifier.exact:
            weight = 1 / np.maximum(self.joint.dispersion[llm], SURE)[:, None]
            logs = weight * (verdict * np.log(expected) + (1 - verdict) * np.log1p(-expected))
        else:
            accepted = verifier.accepted(expected)
            logs = np.log(np.where(verdict > 0.5, accepted, 1 - accepted))
        logs = np.where(np.isnan(score)[:, None], 0, logs)
        weight = self.weight * np.exp(logs - logs.max(axis=1, keepdims=True))
        weight /= np.maximum(weight.sum(axis=1, keepdims=True), 1e-30)
        return replace(self, weight=weight, shift=np.where(np.isnan(score)[:, None], self.shift, self._later))

    @property
    def _later(self) -> Floats:
        """The shift f32 (b, m) once a score was observed."""
        return np.zeros_like(self.shift) if self.lasting is None else self.lasting

    def choose_set(
        self, k: int, llm_index: Index, price: Floats | None = None, best: Floats | None = None
    ) -> tuple[Index, Floats]:
        """Choose k LLMs greedily by the expected maximum of their scores, less their price.

        The expected maximum is submodular, so a greedy set reaches at least 1 - 1/e of the best set's value.
        Source: Nemhauser, Wolsey and Fisher, An analysis of approximations for maximizing submodular set functions,
        Mathematical Programming 1978.

        Parameters
        ----------
        k : int
        llm_index : int (m,)
            The LLMs to choose from.
        price : f32 (b, m), optional
            What each costs in units of score.
        best : f32 (b, 1), optional
            Highest score of the LLMs that were tried already, which counts in the maximum. Default: 0.

        Returns
        -------
        Columns int (b, k) of `llm_index` in the order they are taken, and f32 (b, k) the expected maximum of the
        first one, two, ... of them.
        """
        rows, open_, later = np.arange(len(self.weight)), self.weight.copy(), replace(self, shift=self._later)
        highest, factors = np.zeros_like(open_), self.joint.factors[llm_index]
        if best is not None:
            open_ *= 1 - best
            highest += best
        taken, maximum = np.empty((len(rows), k), dtype=np.int64), np.empty((len(rows), k), dtype=np.float32)
        luck = np.zeros(len(rows))
        for turn in range(k):
            belief = later if turn else self
            base = self.joint.mean[llm_index] + belief.shift[:, llm_index]
            gain = (open_ @ self.joint.loadings) @ factors.T + open_.sum(axis=1, keepdims=True) * base
            if price is not None:
                gain -= price
            gain[rows[:, None], taken[:, :turn]] = -np.inf
            column = gain.argmax(axis=1)
            expected = belief.of_each(llm_index[column])
            open_ *= 1 - expected
            highest = np.maximum(highest, expected)
            luck += self.joint.dispersion[llm_index[column]]
            share = luck / (turn + 1)
            taken[:, turn] = column
            maximum[:, turn] = share * (1 - open_.sum(axis=1)) + (1 - share) * (self.weight * highest).sum(axis=1)
        return taken, maximum


def _by_others(deviation: Array) -> Array:
    """Regression of each LLM's deviation f64 (n, m) on the other LLMs' on the same prompt, f64 (n, m)."""
    n, m = deviation.shape
    scale = np.sqrt((deviation**2).mean(axis=0))
    scale = np.where(scale > 0, scale, 1.0)
    z = deviation / scale
    left, length, right = _svd(z)
    value = length**2 / n  # of the correlation matrix
    fourth, squares = (z**4).mean(axis=0).sum(), (z**2).sum(axis=1)
    apart = max((value**2).sum() - m, 1e-12)  # squared correlations of different LLMs
    by_chance = ((squares**2).mean() - fourth - apart) / n
    shrink = float(np.clip(by_chance / apart, 0.01, 1.0))
    # the inverse of (1 - shrink) C + shrink I, by the eigenvectors of C
    known = 1 / shrink - 1 / ((1 - shrink) * value + shrink)
    inverse = 1 / shrink - (right**2) @ known  # its diagonal
    pulled = z / shrink - ((left * length) * known) @ right.T
    predicted: Array = (z - pulled / inverse) * scale
    return predicted


def _by_common_factors(deviation: Array, observed: Array, covariance: Array) -> Array:
    """Expected deviations f64 (n, m) given the observed ones, by the common factors of their covariance f64 (m, m)."""
    factors, own = common_factors(covariance, N_COMMON)
    k, sd = factors.shape[1], np.sqrt(np.maximum(own, 1e-6))[:, None]
    loadings, _ = fold_in(deviation.T / sd, observed.T, factors / sd, np.zeros(k), np.eye(k), 1.0)
    return loadings @ factors.T


def _svd(table: Array) -> tuple[Array, Array, Array]:
    """Left (n, k), lengths (k,) and right (m, k) from the smaller Gram matrix, without directions of no length."""
    wide = table.shape[0] < table.shape[1]
    value, basis = np.linalg.eigh(table @ table.T if wide else table.T @ table)
    kept = value > 1e-10 * max(value[-1], 1e-300)
    length, basis = np.sqrt(value[kept][::-1]), basis[:, kept][:, ::-1]
    other = (table.T if wide else table) @ basis / length
    return (basis, length, other) if wide else (other, length, basis)


def _dispersion(scores: Floats, expected: Array) -> Array:
    """See `JointScores`, f64 (m,): 1 of scores that are 0 or 1, and where nothing was observed.

    The variance of a score s around its expectation e is e(1 - e) less the mean of s(1 - s).
    """
    observed = ~np.isnan(scores)
    sure = np.clip(expected, SURE, 1 - SURE)
    of_bits = np.where(observed, sure * (1 - sure), 0).sum(axis=0)
    graded = np.where(observed, scores * (1 - scores), 0).sum(axis=0)
    return np.clip(1 - graded / np.maximum(of_bits, SURE), SURE, 1.0)
