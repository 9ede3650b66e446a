"""What back-tests say in plain sentences, and where their evidence is thin."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from kernel.purchases import FAMILIES, Family
from training.evaluation.calibration import brier_parts
from training.evaluation.discrimination import auc_difference, auc_interval, found_in_top
from training.evaluation.economics import best_cut, campaign, contacts
from training.evaluation.similar import CONFIDENCE
from training.evaluation.words import day, decimal, label, listed, money, percent
from training.labels.rhythm import RETURNED

if TYPE_CHECKING:
    from kernel.part import Floats
    from kernel.settings import Settings
    from training.backtest import BacktestResult
    from training.evaluation.grade import Grade
    from training.evaluation.tracking import Tracking
    from training.evaluation.value_grade import ValueGrade
    from training.labels.rhythm import Rhythm

FEW_CHURNERS = 100
FEW_CUSTOMERS = 500
FEW_DATES = 3
_WIDE = 0.05  # half of an interval of the AUC
_COVERAGE_OFF = 0.03
_TOTAL_OFF = 0.1
_SURELY_ALIVE = 0.99
_WORTH_SAYING = 0.005
_LEAVES: Mapping[Family, str] = {
    "bg_nbd": "It supposes that customers leave right after a repeat purchase, or not at all.",
    "mbg_nbd": "It supposes that customers leave right after a purchase, be it the first, or not at all.",
    "pareto_nbd": "It supposes that customers may leave at any moment.",
}


@dataclass(frozen=True, slots=True)
class Reach:
    """Who is found among the ``customers`` with the highest scores; ``left`` of the whole cohort left."""

    customers: int
    left: int
    model: float
    recency_rule: float
    chance: float


def reach(result: BacktestResult, most: int = 100) -> Reach:
    """What a team reaches with ``most`` contacts, or with a tenth of a cohort that is not ten times as large."""
    customers = contacts(result.customers, most)
    return Reach(
        customers,
        int(result.churned.sum()),
        found_in_top(result.probability, result.churned, customers),
        found_in_top(result.recency, result.churned, customers),
        customers * float(result.churned.mean()),
    )


def churn_sentences(result: BacktestResult, settings: Settings) -> list[str]:
    """Churn at one date: whom the ranking finds, and whether the probabilities come true."""
    found, days = reach(result, settings.churn.contacts), settings.churn.horizon_days
    if not found.left:
        return [f"None of the {result.customers:,} customers left in the {days} days after {day(result.as_of)}."]
    return [
        f"Of the {found.customers} customers with the highest churn risk on {day(result.as_of)}, "
        f"{found.model:.0f} left within {days} days; the recency rule found {found.recency_rule:.0f}, chance would "
        f"find {found.chance:.0f}.",
        f"The model expected {percent(float(result.probability.mean()))} of the {result.customers:,} customers to "
        f"leave; {percent(float(result.churned.mean()))} did ({found.left:,} customers).",
        *([] if result.grade is None else [grade_sentence(result.grade)]),
        *([treated_sentence(result)] if result.treated else []),
    ]


def treated_sentence(result: BacktestResult) -> str:
    """Who was left out because a retention action reached them."""
    return (
        f"{result.treated:,} more customers are left out: a retention action reached them after {day(result.as_of)}, "
        "and what they did does not tell what comes without one."
    )


def grade_sentence(grade: Grade) -> str:
    """The grade, how sure it is, and what it says."""
    others = [f"{letter} in {percent(share)}" for letter, share in grade.sureness.items() if share >= _WORTH_SAYING]
    flagged = f"Of those who left, it flags {percent(grade.found)}"
    rate = grade.baseline == "the churn rate"
    same = f'"{grade.baseline}" {percent(grade.baseline_found)}' + ("" if rate else " with as many flags")
    return f"Grade {grade.letter} ({listed(others)} of resampled customers). {flagged}; {same}."


def profit_sentences(result: BacktestResult, settings: Settings) -> list[str]:
    """What a campaign would have brought; nothing where no costs are set."""
    retention, currency = settings.churn.retention, settings.project.currency
    if retention is None or not result.churned.any():
        return []
    team = contacts(result.customers, settings.churn.contacts)
    best = best_cut(result.probability, retention)
    by_model, by_rule = (campaign(score, result.churned, team, retention) for score in _scores(result))
    cut = campaign(result.probability, result.churned, best, retention)
    rate = f"a contact costs {money(retention.contact_cost, currency)} and keeps {percent(retention.success_rate)}"
    return [
        f"{team} contacts by the model's ranking on {day(result.as_of)} would have brought "
        f"{money(by_model.profit, currency)}, by the recency rule {money(by_rule.profit, currency)}, if {rate} of "
        f"those who would have left, each worth {money(retention.kept_value, currency)}.",
        f"By its probabilities, contacting {best:,} customers pays best: that would have brought "
        f"{money(cut.profit, currency)}.",
    ]


def _scores(result: BacktestResult) -> tuple[Floats, Floats]:
    return result.probability, result.recency


def rate_coverage(results: Sequence[BacktestResult]) -> str:
    """What the intervals of the churn rate held, over all dates and for each third by risk; empty without groups."""
    held = [result.rate_held for result in results if len(result.rate_held)]
    if not held:
        return ""
    thirds = zip(*(np.array_split(one, 3) for one in held), strict=True)
    low, middle, high = (percent(float(np.concatenate(parts).mean())) for parts in thirds)
    every = np.concatenate(held)
    return (
        f"The {percent(CONFIDENCE)} intervals held the churn rate of {percent(float(every.mean()))} of {len(every)} "
        f"groups of 100 similar customers: {low} at low, {middle} at middle and {high} at high risk."
    )


def out_of_customer(result: BacktestResult) -> str:
    """The ranking of customers that the fit had not seen; empty where it cannot be told."""
    unseen = result.unseen
    if unseen is None or unseen.auc is None:
        return ""
    return (
        f"Customers that a fit had not seen, in the newer half of the cut-offs before {day(result.as_of)}, were ranked "
        f"with an AUC of {decimal(unseen.auc)} ({unseen.rows:,} rows of {unseen.customers:,} customers, "
        f"{unseen.churners:,} of whom left at least once)."
    )


def brier_sentence(result: BacktestResult) -> str:
    """The Brier score taken apart."""
    parts = brier_parts(result.probability, result.churned)
    return (
        f"On {day(result.as_of)} the Brier score is made of {decimal(parts.uncertainty, 4)} that the churn rate alone "
        f"leaves open, less {decimal(parts.resolution, 4)} that the model tells apart, plus "
        f"{decimal(parts.reliability, 4)} by which its probabilities are off."
    )


def value_sentences(result: BacktestResult, settings: Settings) -> list[str]:
    """Spend at one date: the total, and the error for one customer."""
    currency, days = settings.project.currency, settings.value.horizon_days
    expected, actual = float(result.expected.sum()), float(result.spend.sum())
    ratio = percent(result.value["trees"]["total_ratio"])
    errors = {name: money(metrics["mae"], currency) for name, metrics in result.value.items()}
    rest = [f"{_article(name)} by {error}" for name, error in errors.items() if name != "trees"]
    return [
        f"Expected total spend in the {days} days after {day(result.as_of)} was {ratio} of the actual: "
        f"{money(expected, currency)} expected, {money(actual, currency)} spent.",
        f"For one customer the model missed by {errors['trees']} on average, {listed(rest)}.",
        *([] if result.value_grade is None else [value_grade_sentence(result.value_grade)]),
    ]


def value_grade_sentence(grade: ValueGrade) -> str:
    """The grade of the lifetime value, how sure it is, and what it says."""
    others = [f"{letter} in {percent(share)}" for letter, share in grade.sureness.items() if share >= _WORTH_SAYING]
    return (
        f"Grade {grade.letter} ({listed(others)} of resampled customers). Of the {grade.high_value:,} customers who "
        f"spent most, {percent(grade.found)} are among those of whom the model expects most; the formula finds "
        f"{percent(grade.baseline_found)}."
    )


def segment_sentence(result: BacktestResult) -> str:
    """What the intervals of totals held; empty where there are too few customers for a segment."""
    found = result.segments
    held = [f"{percent(share)} of segments of {size} customers" for size, share in found.random.items()]
    alike = [f"{percent(share)} of {size}" for size, share in found.alike.items()]
    if not held:
        return ""
    return (
        f"The {percent(CONFIDENCE)} intervals of totals held those of {listed(held)} drawn by chance on "
        f"{day(result.as_of)}; of segments of customers with similar expectations, {listed(alike)}."
    )


def family_sentence(result: BacktestResult) -> str:
    """Which models of purchases were chosen from, which one was, and what it supposes."""
    family = result.value_model.manifest.purchases.family
    return (
        f"On {day(result.as_of)} purchases are foretold by {label(family)}: of {listed([*map(label, FAMILIES)])} it "
        f"came nearest to the actual spend at earlier cut-offs. {_LEAVES[family]}"
    )


def order_value_sentence(result: BacktestResult) -> str:
    """Whether those who come more often spend more on a purchase day, and what was done about it."""
    values = result.value_model.manifest.order_values
    if not values.slope:
        return (
            f"On {day(result.as_of)} how much customers spend on a purchase day hardly depended on how often they "
            "come, as the model of order values (Gamma-Gamma) supposes: nothing had to be changed."
        )
    change = 2**values.slope - 1
    return (
        f"On {day(result.as_of)} customers with twice as many purchase days spent {percent(abs(change))} "
        f"{'more' if change > 0 else 'less'} on each, where the model of order values (Gamma-Gamma) supposes that the "
        f"two are independent. Values are therefore taken to the usual frequency first ({values.usual:,.0f} purchase "
        "days), and what is expected of a customer back to their own."
    )


def tracking_sentence(tracking: Tracking) -> str:
    """Purchases in the weeks that the model did not know; empty where none is over."""
    after = tracking.after()
    if not len(after.weeks):
        return ""
    expected, actual = float(after.expected.sum()), float(after.actual.sum())
    return (
        f"Of the {tracking.customers:,} customers with a purchase before {day(tracking.known_until)}, expected repeat "
        f"purchase days in the {len(after.weeks)} weeks after it were "
        f"{percent(expected / actual if actual else math.nan)} of the actual: {expected:,.0f} expected by the date of "
        f"each first purchase alone, {actual:,.0f} came."
    )


def rhythm_sentence(rhythm: Rhythm, horizon_days: int) -> str:
    """Whether the horizon fits the customers' own rhythm."""
    return (
        f"After {horizon_days} days of silence {percent(rhythm.returned_by(horizon_days))} of the returns have come "
        f"that ever come; after {rhythm.horizon_days} days {percent(RETURNED)} have: that is the horizon the data "
        f"would choose, by {rhythm.returns:,} returns until {day(rhythm.as_of)}."
    )


def thin_evidence(results: Sequence[BacktestResult], settings: Settings) -> list[str]:
    """Reasons to trust the figures less than they look; empty where none is known."""
    if not results:
        return ["No back-test was possible: the quality of the models is not known."]
    return [
        *_about_dates(results, settings),
        *(note for result in results for note in [*_about_churn(result), *_about_value(result)]),
    ]


_IN_A_SENTENCE = {
    "carry_forward": "carrying the past forward",
    "formula": "the formula",
    "rfm_cells": "the RFM cell means",
    "cohort_curve": "the cohort curve",
}


def _article(name: str) -> str:
    return _IN_A_SENTENCE.get(name, label(name))


def _about_dates(results: Sequence[BacktestResult], settings: Settings) -> list[str]:
    dates = sorted(result.as_of for result in results)
    notes: list[str] = []
    if len(dates) < FEW_DATES:
        count = "one date was" if len(dates) == 1 else f"{len(dates)} dates were"
        notes.append(f"Only {count} looked at ({listed([day(date) for date in dates])}); other seasons may differ.")
    window = timedelta(days=max(settings.churn.horizon_days, settings.value.horizon_days))
    if any(later - earlier < window for earlier, later in pairwise(dates)):
        notes.append(
            f"Some dates lie less than {window.days} days apart: they share outcomes and are no independent evidence."
        )
    return notes


def _about_churn(result: BacktestResult) -> list[str]:
    date, left = day(result.as_of), int(result.churned.sum())
    notes = [
        f"{date}: the feature '{name}' tells the outcome almost alone (AUC {decimal(auc)}). If it was not known "
        "before, as where a table is filled in afterwards, the model's figures are worth nothing."
        for name, auc in result.suspects.items()
    ]
    if result.customers < FEW_CUSTOMERS:
        notes.append(f"{date}: only {result.customers:,} customers were in the test cohort.")
    if left in (0, result.customers):
        return [*notes, f"{date}: {'nobody' if not left else 'everybody'} left, so no ranking can be judged."]
    if left < FEW_CHURNERS:
        notes.append(f"{date}: only {left:,} customers left, so churn figures move a lot by chance.")
    interval = auc_interval(result.probability, result.churned)
    if interval is None:
        notes.append(f"{date}: no interval of the AUC can be told.")
    elif (interval.high - interval.low) / 2 > _WIDE:
        notes.append(f"{date}: the AUC may lie anywhere from {decimal(interval.low)} to {decimal(interval.high)}.")
    gain = auc_difference(result.probability, result.recency, result.churned)
    if gain is not None and gain.low <= 0:
        notes.append(
            f"{date}: it is not shown that the churn model ranks better than the recency rule (AUC "
            f"{gain.estimate:+.3f}, 95 % interval {gain.low:+.3f} to {gain.high:+.3f})."
        )
    return notes


def _about_value(result: BacktestResult) -> list[str]:
    date, ratio = day(result.as_of), result.value["trees"]["total_ratio"]
    notes: list[str] = []
    if not math.isfinite(ratio):
        notes.append(f"{date}: nobody spent anything, so totals cannot be compared.")
    elif abs(ratio - 1) > _TOTAL_OFF:
        notes.append(f"{date}: expected total spend was {percent(ratio)} of the actual.")
    if abs(result.interval_coverage - CONFIDENCE) > _COVERAGE_OFF:
        width = "narrow" if result.interval_coverage < CONFIDENCE else "wide"
        notes.append(
            f"{date}: {percent(CONFIDENCE)} intervals of spend held {percent(result.interval_coverage)}: too {width}."
        )
    if "p_alive" in result.churn:
        alive = float(np.mean(result.value_model.probability_alive(result.features) > _SURELY_ALIVE))
        if alive > 0.5:
            notes.append(
                f"{date}: P(alive) is above {percent(_SURELY_ALIVE)} for {percent(alive)} of the customers. By "
                "their purchases alone hardly anybody leaves for good, so it hardly tells them apart; the churn "
                "probability does."
            )
    closest = min(result.value, key=lambda name: result.value[name]["mae"])
    if closest != "trees":
        notes.append(f"{date}: {_article(closest)} missed the spend of one customer by less than the model.")
    return notes


def coverage(results: Sequence[BacktestResult]) -> str:
    """What the intervals of spend held at each date."""
    held = listed([f"{percent(result.interval_coverage)} of customers on {day(result.as_of)}" for result in results])
    return f"The {percent(CONFIDENCE)} intervals of one customer held the actual spend of {held}."
