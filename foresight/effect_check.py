"""May an effect of something that happened to customers be claimed, although nobody drew to whom it happens?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pandas as pd

from kernel.artefacts import model_matrix
from kernel.errors import NotEnoughDataError, UsageError, did_you_mean
from training.evaluation.causality import CausalityCheck, Observed, check_causality
from training.evaluation.discrimination import Interval
from training.labels.future_spend import future_spend
from training.labels.window import LabelWindow
from training.models.columns import model_columns

if TYPE_CHECKING:
    from foresight.project import Project

WHERE = "check-effect"


@dataclass(frozen=True)
class Treatment:
    """What happened to the treated customers.

    Attributes:
        kind: of the activity, such as ``campaign_received``.
        detail: its ``detail``; None for any.
        start: first moment at which it happened, UTC; features are as of then.
        entry_days: within so many days from ``start`` it happened to all the treated.
    """

    kind: str
    detail: str | None
    start: datetime
    entry_days: int

    @property
    def name(self) -> str:
        """In words: the kind, and the detail where one was named."""
        return self.kind if self.detail is None else f"{self.kind} ({self.detail})"


@dataclass(frozen=True)
class EffectCheck:
    """The verdict, and on whom it rests.

    Attributes:
        verdict: whether an effect may be claimed, with naive and adjusted effect, placebo and checks.
        treatment: what happened.
        days: length of the window of the outcome, from ``treatment.start`` on.
        treated: customers to whom it happened and who may be profiled.
        untreated: those to whom it did not.
        later: of the untreated, those to whom it happened later in the window.
        unit: of the outcome: the project's currency, per customer within the window.
    """

    verdict: CausalityCheck
    treatment: Treatment
    days: int
    treated: int
    untreated: int
    later: int
    unit: str


def check_effect(project: Project, treatment: Treatment, *, days: int, known_at: datetime) -> EffectCheck:
    """Compare the net spend of treated and untreated customers after adjusting for what was known of them at the start.

    The placebo looks at the window of the same length before the start, with what was known at its beginning.

    Args:
        days: length of the window in which spend counts.
        known_at: the moment of knowledge, UTC.

    Raises:
        UsageError: no such activity is in the tables, or the numbers of days are wrong.
        NotEnoughDataError: the window is not over, the history is too short for the placebo, or fewer than 100
            customers are treated, or untreated.
    """
    if not 1 <= treatment.entry_days <= days:
        raise UsageError(
            f"The window has {days} days, and the treatment began within {treatment.entry_days}.",
            where=WHERE,
            fix="Give 1 day or more for both, and no more for the beginning than for the window.",
        )
    begin = treatment.start - timedelta(days=days)
    first, _ = project.profiles.span()
    if begin.replace(tzinfo=None) <= first:
        raise NotEnoughDataError(
            f"The placebo looks at the {days} days before {treatment.start:%Y-%m-%d}, and the first transaction is of "
            f"{first:%Y-%m-%d}.",
            where=WHERE,
            fix="Name a later start, or a shorter window.",
        )
    LabelWindow(days).check_ripe(treatment.start, known_at)
    entered = _first_times(project, treatment, treatment.start + timedelta(days=days), known_at)
    entry_ends = treatment.start + timedelta(days=treatment.entry_days)
    treated = frozenset(customer for customer, at in entered.items() if at < entry_ends.replace(tzinfo=None))
    if not treated:
        raise UsageError(
            f"{treatment.name} happened to no customer within {treatment.entry_days} days from "
            f"{treatment.start:%Y-%m-%d}.",
            where=WHERE,
            fix=_days_on_which_it_happened(project, treatment, known_at),
        )
    features = project.features_of([begin, treatment.start])
    after, before = (
        _observed(project, features[moment], moment, treated, days, known_at) for moment in (treatment.start, begin)
    )
    verdict = check_causality(after, before, unit=project.settings.project.currency)
    count = int(after.treated.sum())
    return EffectCheck(
        verdict=verdict,
        treatment=treatment,
        days=days,
        treated=count,
        untreated=len(after.treated) - count,
        later=int(sum(customer in entered for customer in after.customer[~after.treated])),
        unit=project.settings.project.currency,
    )


def effect_lines(found: EffectCheck) -> Iterable[str]:
    """The verdict with its figures, and what to do instead where no effect may be claimed."""
    verdict, of = found.verdict, found.treatment
    yield (
        f"{of.name} from {of.start:%Y-%m-%d} (UTC): {found.treated:,} treated and {found.untreated:,} untreated "
        f"customers; outcome: net spend per customer in the {found.days} days from then on"
    )
    yield verdict.sentence
    yield f"As they are, treated less untreated: {_amount(verdict.naive, found.unit)}"
    left = _amount(verdict.adjusted, found.unit)
    yield f"After adjustment for what was known: {left}{'' if verdict.holds else ', which is no effect to claim'}"
    yield f"The same of the {found.days} days before (placebo, should hold 0): {_amount(verdict.placebo, found.unit)}"
    for check in verdict.checks:
        yield f"{'passed' if check.holds else 'FAILED'}  {check.name}: {check.found}"
    if found.later:
        yield (
            f"{found.later:,} of the untreated met the same later within the {found.days} days: the difference is of "
            "having it at the start, not of having it at all"
        )
    if verdict.holds:
        yield "What nobody knows of the customers may still account for it; a randomised pilot would show: plan-pilot"
    else:
        yield "Instead: draw who gets it, and compare. How many customers that takes: foresight plan-pilot"


def _amount(interval: Interval, unit: str) -> str:
    return (
        f"{interval.estimate:+,.2f} {unit} ({interval.confidence:.0%} interval {interval.low:+,.2f} to "
        f"{interval.high:+,.2f})"
    )


def _observed(
    project: Project, features: pd.DataFrame, moment: datetime, treated: frozenset[str], days: int, known_at: datetime
) -> Observed:
    """Customers who may be profiled, and their net spend in the window from then on."""
    known = features.loc[features["frequency"].notna()]  # nothing is known of whoever may not be profiled
    columns = model_columns(project.feature_set, known)
    spend = future_spend(project.profiles, known.index, moment, LabelWindow(days), known_at)
    return Observed(
        model_matrix(known, columns),
        tuple(len(column.categories or ()) for column in columns),
        known.index.isin(list(treated)),
        spend.to_numpy(float),
        known.index.to_numpy(),
    )


def _first_times(project: Project, of: Treatment, until: datetime, known_at: datetime) -> dict[str, datetime]:
    """When (UTC) it first happened to each customer from the start on, before ``until``.

    Raises:
        UsageError: no activity has this kind or this detail.
    """
    cursor = project.profiles.connection.cursor()
    kinds = [row[0] for row in cursor.execute("SELECT DISTINCT kind FROM activities").fetchall()]
    if of.kind not in kinds:
        raise UsageError(f"No activity is a '{of.kind}'.", where=WHERE, fix=did_you_mean(of.kind, kinds))
    if of.detail is not None:
        query = "SELECT DISTINCT detail FROM activities WHERE kind = ? AND detail IS NOT NULL"
        details = [row[0] for row in cursor.execute(query, [of.kind]).fetchall()]
        if of.detail not in details:
            raise UsageError(
                f"No {of.kind} has the detail '{of.detail}'.", where=WHERE, fix=did_you_mean(of.detail, details)
            )
    rows = cursor.execute(
        f"SELECT customer_id, min(event_time) FROM activities WHERE {_MATCHING} "
        "AND event_time >= $start AND event_time < $until GROUP BY customer_id",
        _named(of, known_at) | {"start": of.start.replace(tzinfo=None), "until": until.replace(tzinfo=None)},
    ).fetchall()
    return {row[0]: row[1] for row in rows}


_MATCHING = "kind = $kind AND ($detail IS NULL OR detail = $detail) AND ingested_at <= $known_at"


def _named(of: Treatment, known_at: datetime) -> dict[str, object]:
    return {"kind": of.kind, "detail": of.detail, "known_at": known_at.replace(tzinfo=None)}


def _days_on_which_it_happened(project: Project, of: Treatment, known_at: datetime) -> str:
    """The nearest day before and after, for a person who has mistaken the date."""
    [(before, after)] = (
        project.profiles.connection.cursor()
        .execute(
            "SELECT max(event_time) FILTER (WHERE event_time < $start), min(event_time) FILTER (WHERE event_time >= "
            f"$start) FROM activities WHERE {_MATCHING}",
            _named(of, known_at) | {"start": of.start.replace(tzinfo=None)},
        )
        .fetchall()
    )
    near = " and ".join(f"{moment:%Y-%m-%d}" for moment in (before, after) if moment is not None)
    return f"Name the day on which it began; it happened on {near or 'no day that is known yet'}."
