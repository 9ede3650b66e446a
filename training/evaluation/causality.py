"""May an effect be claimed from data in which nobody drew who is treated?

The check adjusts for what is known of the customers, and then asks what the adjusted comparison has to say of a time
before the treatment: an effect on the past is no effect (a placebo; Imbens and Rubin 2015, chapter 21).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from kernel.encoding import Encoding
from kernel.errors import NotEnoughDataError
from kernel.part import Floats
from training.evaluation.discrimination import Interval
from training.evaluation.off_policy import clustered_interval
from training.evaluation.policy_checks import Check
from training.models.rewards import expected_rewards

_FOLDS = 5
_RIDGE = 1e-3  # of half a squared weight beside the mean loss of a row
_SURE = 0.05  # a probability of treatment below it, or above 1 less it, leaves nobody to compare with
_MOST_ALONE = 0.1  # share of customers without anybody to compare them with
_IMBALANCE = 0.1  # standardised difference of a feature that is still tolerable (Austin 2009)
_FEWEST = 100


@dataclass(frozen=True)
class Observed:
    """Customers, some treated, and what was measured in a period of one length.

    Attributes:
        inputs: what was known at the beginning of the period, NaN where unknown, shape (customers, columns).
        categories: number of words of each column, 0 for a number.
        treated: shape (customers,).
        outcome: measured in the period, shape (customers,).
        customer: who it is, shape (customers,).
    """

    inputs: Floats
    categories: tuple[int, ...]
    treated: NDArray[np.bool_]
    outcome: Floats
    customer: NDArray[Any]


@dataclass(frozen=True)
class CausalityCheck:
    """Whether an effect may be claimed.

    Attributes:
        holds: it may.
        sentence: the same for a manager, with its reason.
        naive: treated less untreated, as they are.
        adjusted: the effect after adjustment, doubly robust; to be shown only where ``holds``.
        placebo: the same of the period before the treatment.
        checks: each with what was found.
    """

    holds: bool
    sentence: str
    naive: Interval
    adjusted: Interval
    placebo: Interval
    checks: tuple[Check, ...]


def check_causality(after: Observed, before: Observed, *, unit: str = "", seed: int = 0) -> CausalityCheck:
    """Adjust for what was known, and look at overlap, balance and a placebo.

    Args:
        after: the period that begins with the treatment.
        before: a period of the same length that ends with it: the same treatment, which had not happened yet; inputs
            as of its beginning.
        unit: of the outcome, for the words.

    Raises:
        NotEnoughDataError: fewer than 100 customers were treated, or not treated.
    """
    for observed in (after, before):
        _require_both(observed.treated)
    chance, encoding = _chance_of_treatment(after, seed)
    adjusted = _adjusted(after, chance, seed)
    placebo = _adjusted(before, _chance_of_treatment(before, seed)[0], seed)
    checks = (_overlap(chance), _balance(after, encoding, chance), _placebo(placebo, unit))
    broken = [check for check in checks if not check.holds]
    naive = _difference(after)
    said = f"as they are, the treated differ by {_money(naive, unit)}"
    if broken:
        found = f"{broken[0].found[:1].upper()}{broken[0].found[1:]}"
        sentence = (
            f"No effect may be claimed: nobody drew who is treated, and {broken[0].name} fails ({said}). {found}."
        )
    else:
        sentence = f"An effect of {_money(adjusted, unit)} is consistent with overlap, balance and placebo ({said})."
    return CausalityCheck(not broken, sentence, naive, adjusted, placebo, checks)


def _require_both(treated: NDArray[np.bool_]) -> None:
    few = int(min(treated.sum(), (~treated).sum()))
    if few < _FEWEST:
        raise NotEnoughDataError(
            f"Only {few} customers are on one side of the comparison.",
            where="causality check",
            fix=f"At least {_FEWEST} treated and as many untreated customers are needed.",
        )


def _chance_of_treatment(observed: Observed, seed: int) -> tuple[Floats, Encoding]:
    """Of each customer by a model that has not seen the customer, shape (customers,)."""
    encoding = Encoding.of(observed.inputs, observed.categories)
    design = encoding.design(observed.inputs)
    fold = np.random.default_rng(seed).permutation(len(design)) % _FOLDS
    chance = np.zeros(len(design))
    for number in range(_FOLDS):
        seen = fold != number
        model = LogisticRegression(C=1 / (_RIDGE * seen.sum()), solver="newton-cholesky")
        model.fit(design[seen], observed.treated[seen])
        chance[~seen] = model.predict_proba(design[~seen])[:, 1]
    return chance, encoding


def _adjusted(observed: Observed, chance: Floats, seed: int) -> Interval:
    """Doubly robust mean effect over the customers who have somebody to be compared with."""
    arm = observed.treated.astype(np.int64)
    expected = expected_rewards(
        observed.inputs, observed.categories, arm, observed.outcome, observed.customer, 2, seed=seed
    )
    held = np.clip(chance, _SURE, 1 - _SURE)
    residual = observed.outcome - expected[np.arange(len(arm)), arm]
    weight = np.where(observed.treated, 1 / held, -1 / (1 - held))
    score = expected[:, 1] - expected[:, 0] + weight * residual
    compared = (chance >= _SURE) & (chance <= 1 - _SURE)
    score, customer = score[compared], observed.customer[compared]
    return clustered_interval(float(score.mean()), score - score.mean(), customer)


def _difference(observed: Observed) -> Interval:
    share = observed.treated.mean()
    treated, others = observed.outcome[observed.treated].mean(), observed.outcome[~observed.treated].mean()
    influence = np.where(
        observed.treated, (observed.outcome - treated) / share, -(observed.outcome - others) / (1 - share)
    )
    return clustered_interval(float(treated - others), influence, observed.customer)


def _overlap(chance: Floats) -> Check:
    alone = float(((chance < _SURE) | (chance > 1 - _SURE)).mean())
    return Check(
        "overlap",
        alone <= _MOST_ALONE,
        f"{100 * alone:.0f} % of the customers were nearly sure, or nearly sure not, to be treated (up to "
        f"{100 * _MOST_ALONE:.0f} % is sound)",
    )


def _balance(observed: Observed, encoding: Encoding, chance: Floats) -> Check:
    """Does weighing by the probabilities make treated and untreated alike in what is known of them?"""
    compared = (chance >= _SURE) & (chance <= 1 - _SURE)
    design, treated = encoding.design(observed.inputs[compared]), observed.treated[compared]
    if min(treated.sum(), (~treated).sum()) < 2:
        return Check("balance", False, "hardly anybody can be compared")
    held = chance[compared]
    weight = np.where(treated, 1 / held, 1 / (1 - held))
    means = [np.average(design[side], axis=0, weights=weight[side]) for side in (treated, ~treated)]
    spread = np.sqrt((design[treated].var(axis=0) + design[~treated].var(axis=0)) / 2)
    apart = np.abs(means[0] - means[1])[spread > 0] / spread[spread > 0]
    worst = float(apart.max(initial=0.0))
    # Of many features some differ by chance: an honest draw leaves differences of this size.
    effective = [float(weight[side].sum() ** 2 / (weight[side] ** 2).sum()) for side in (treated, ~treated)]
    by_chance = 3.5 * float(np.sqrt(1 / effective[0] + 1 / effective[1]))
    tolerated = max(_IMBALANCE, by_chance)
    return Check(
        "balance",
        worst <= tolerated,
        f"after weighing, the treated still differ by up to {worst:.2f} standard deviations in what was known of them "
        f"(up to {tolerated:.2f} is sound)",
    )


def _placebo(placebo: Interval, unit: str) -> Check:
    return Check(
        "placebo",
        placebo.low <= 0 <= placebo.high,
        f"the treatment seems to change the time before it by {_money(placebo, unit)}",
    )


def _money(interval: Interval, unit: str) -> str:
    end = f" {unit}" if unit else ""
    return f"{interval.estimate:+,.3g}{end} ({interval.low:+,.3g} to {interval.high:+,.3g})"
