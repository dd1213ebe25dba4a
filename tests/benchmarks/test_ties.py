"""Opt-in: `pytest tests/benchmarks/test_ties.py -s`. Ties as half a win for both, or with a parameter of their own.

`bradley_terry` is fitted to battles drawn from scores (as in test_pairs) by its own loss, and by those of Davidson
(1970) and Rao and Kupper (1967), whose parameter takes turns with the router's. Judged on battles of test prompts, and
by the scores of the choices there. What a lead means for a decided battle differs between the models: each gets one
scale, from battles of validation prompts. Prints figures; what is asserted is that all name the same winners.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.optimize import minimize_scalar
from test_pairs import small

from recroute import prepare_split, read_dataset
from recroute.data import Dataset
from recroute.evaluation.summarise import Cell, summarise
from recroute.metrics import Outcome
from recroute.routers import bradley_terry, make_router
from recroute.routers.battles import Battles
from recroute.testing import drawn_preferences

SEEDS, N_TEST_BATTLES, N_ROUNDS = range(3), 20_000, 2
HALF, DAVIDSON, RAO_KUPPER = "half wins", "Davidson", "Rao-Kupper"
Array = np.ndarray


def sigmoid(x: Array) -> Array:
    return 0.5 * (1 + np.tanh(x / 2))


def log_chances(model: str, lead: Array, tie: float) -> Array:
    """Log probabilities of win, tie and loss, (3, p); `tie` is nu of Davidson, log kappa of Rao and Kupper, a share."""
    if model == DAVIDSON:
        total = np.logaddexp(np.logaddexp(lead / 2, -lead / 2), np.log(tie))
        return np.stack([lead / 2, np.full(len(lead), np.log(tie)), -lead / 2]) - total
    if model == RAO_KUPPER:
        win, loss = (-np.logaddexp(0, tie - x) for x in (lead, -lead))
        return np.stack([win, win + loss + np.log(np.expm1(2 * tie)), loss])
    win, loss = (-np.logaddexp(0, -x) + np.log1p(-tie) for x in (lead, -lead))
    return np.stack([win, np.full(len(lead), np.log(tie)), loss])


def slope(model: str, lead: Array, ahead: Array, tie: float) -> Array:
    """Derivative of minus the log probability of what happened by the lead."""
    if model == DAVIDSON:
        return np.sinh(lead / 2) / (2 * np.cosh(lead / 2) + tie) - ahead / 2
    return (ahead <= 0) * sigmoid(lead + tie) - (ahead >= 0) * sigmoid(tie - lead)


def loss_of(model: str, tie: float) -> Callable[..., tuple[Array, Array]]:
    """A stand-in for `battle_loss`."""

    def loss(theta: Array, battles: Battles, first_shown: float = 0.0) -> tuple[Array, Array]:
        flat = theta.ravel().astype(np.float64)
        lead = (flat[battles.first] - flat[battles.second] + first_shown * battles.shown).clip(-60, 60)
        happened = log_chances(model, lead, tie)[1 - battles.ahead.astype(int), np.arange(len(lead))]
        return -battles.weight * happened, battles.weight * slope(model, lead, battles.ahead, tie)

    return loss


@dataclass(frozen=True)
class Fought:
    """Battles of a data set as the router sees them: lead of the first (p,), and 0 for a win, 1 a tie, 2 a loss."""

    lead: Array
    happened: Array

    @classmethod
    def of(cls, router: Any, data: Dataset) -> "Fought":
        told = data.preferences
        assert told is not None
        theta = (router.vectors(data) - router.centre_) @ router.weight_ + router.leaderboard_
        lead = theta[told.instance_index, told.llm_a] - theta[told.instance_index, told.llm_b]
        shown = float(router.first_shown_[0]) * told.order_tells
        return cls(lead.astype(np.float64) + shown, np.rint(2 - 2 * told.outcome).astype(int))

    def loss(self, model: str, tie: float) -> float:
        chances = log_chances(model, self.lead, tie)
        return -float(chances[self.happened, np.arange(len(self.lead))].mean())

    def decided_loss(self, scale: float) -> float:
        """Of who won, given that somebody did, if the log odds are `scale` times the lead."""
        decided = self.happened != 1
        right = np.where(self.happened == 0, self.lead, -self.lead)[decided]
        return float(np.logaddexp(0, -scale * right).mean())

    def agreement(self) -> float:
        decided = self.happened != 1
        return float(((self.lead > 0) == (self.happened == 0))[decided].mean())


def least(loss: Callable[[float], float]) -> float:
    return float(minimize_scalar(loss, bounds=(1e-3, 20), method="bounded").x)


def fit(model: str, train: Dataset, seed: int, patch: pytest.MonkeyPatch) -> tuple[Any, float]:
    """The router, and the parameter of ties: of half wins the share of ties."""
    assert train.preferences is not None
    share = float((train.preferences.outcome == 0.5).mean())
    router = make_router("bradley_terry", seed=seed)
    if model == HALF:
        return router.fit(train), share
    tie = 2 * share / (1 - share) if model == DAVIDSON else np.log((1 + share) / (1 - share))  # at a lead of 0
    for _ in range(N_ROUNDS):
        with patch.context() as patched:
            patched.setattr(bradley_terry, "battle_loss", loss_of(model, tie))
            router = replace(router).fit(train)
        fought = Fought.of(router, train)
        tie = least(partial(fought.loss, model))
    return router, tie


@pytest.mark.realdata
@pytest.mark.parametrize("n_battles", [10_000, 100_000])
@pytest.mark.parametrize(("name", "n_llms"), [("llmrouter", 9), ("zeroeval", 20)])
def test_ties_with_a_parameter_of_their_own(
    name: str, n_llms: int, n_battles: int, real: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = small(read_dataset(real / name), 10**6, n_llms)
    cells, losses = [], []
    for seed in SEEDS:
        parts = prepare_split(data, split="random", seed=seed)
        told = drawn_preferences(parts.train, n_battles, noise=0.1, seed=seed)
        valid, judged = (
            drawn_preferences(part, N_TEST_BATTLES, noise=0.1, seed=seed) for part in (parts.valid, parts.test)
        )
        scores, ids = parts.test.interactions.dense(), np.array(parts.test.instance_ids.ids)
        outcomes = {}
        for model in (HALF, DAVIDSON, RAO_KUPPER):
            router, tie = fit(model, told, seed, monkeypatch)
            fought = Fought.of(router, judged)
            decided = fought.decided_loss(least(Fought.of(router, valid).decided_loss))
            row = {"ties": model, "decided": decided, "three": fought.loss(model, tie)}
            losses.append({**row, "agreement": fought.agreement(), "parameter": tie})
            choice, judged_by = router.choose_judged(router.score(parts.test), scores)
            outcomes[model] = Outcome.of(scores, choice, judged_by=judged_by, train_best=0, instance_id=ids)
        cells.append(Cell(seed, "all", data.n_llms, outcomes, parts.test.n_instances))
    _, compared, _ = summarise(cells, 0, 1000, HALF)
    found = pl.DataFrame(losses).group_by("ties", maintain_order=True).mean()
    print(f"\n{name}, {n_battles:,} battles, {len(SEEDS)} seeds: log loss of decided battles, of the three outcomes")
    with pl.Config(tbl_rows=-1, float_precision=4, tbl_hide_dataframe_shape=True):
        print(found)
        print(compared.filter(metric="mean_score").select("router", "value", "ci_low", "ci_high"))
    assert np.ptp(found["agreement"].to_numpy()) < 0.01
