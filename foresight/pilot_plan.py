"""How large, and how long, a randomised pilot of an action has to be: from options, the catalogue and the customers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from features.cohorts import has_history
from kernel.errors import NotEnoughDataError, UsageError, did_you_mean
from serving.decisioning.action import Action
from serving.decisioning.pilot import PilotArms, pilot_arms, pilot_arms_of_money, pilot_days, smallest_lift
from serving.eligible import eligible_customers
from serving.runtime import open_catalogue, required
from training.labels.future_spend import future_spend
from training.labels.window import LabelWindow, future_rows

if TYPE_CHECKING:
    from foresight.project import Project

WHERE = "plan-pilot"


@dataclass(frozen=True, slots=True)
class PilotQuestion:
    """What a pilot is to find; None: taken from the catalogue and the project where an action is named.

    Attributes:
        effect: the smallest that would pay: an additional probability, or money per customer where ``spread`` is given.
        rate: probability of the outcome when nothing is done.
        spread: standard deviation of an outcome of money between customers.
        window_days: within which the outcome counts.
        per_day: customers who can enter on one day, both groups together.
        power: probability of finding the effect if it is there.
        significance: probability of finding one, in either direction, where there is none.
        control_share: share of the customers who get nothing.
    """

    effect: float | None = None
    rate: float | None = None
    spread: float | None = None
    window_days: int | None = None
    per_day: float | None = None
    power: float = 0.8
    significance: float = 0.05
    control_share: float = 0.5


@dataclass(frozen=True, slots=True)
class PilotPlan:
    """The pilot, and what it rests on.

    Attributes:
        question: with what was filled in.
        arms: the fewest customers of each group.
        days: from the first contact until the last outcome is known; None where nobody says how many enter a day.
        available: customers who may get the action now; None where it was not counted.
        smallest: the smallest effect that the available customers would find, where they are too few for the one that
            was asked for; None where there are enough, or where no effect can be found.
        sources: where each number comes from, a sentence each.
        unit: of the effect: "" for a probability, else the currency.
    """

    question: PilotQuestion
    arms: PilotArms
    days: int | None
    available: int | None
    smallest: float | None
    sources: tuple[str, ...]
    unit: str


def size_pilot(
    question: PilotQuestion, *, available: int | None = None, sources: tuple[str, ...] = (), unit: str = ""
) -> PilotPlan:
    """The pilot that finds what is asked for; without ``per_day`` all the available customers enter on one day.

    Raises:
        UsageError: a number is missing or out of range.
    """
    effect = question.effect
    if effect is None:
        raise UsageError(
            "The effect to find is missing.",
            where=f"{WHERE} --effect",
            fix="Give the smallest effect that would pay, or name an action of the catalogue.",
        )
    if (question.rate is None) == (question.spread is None):
        raise UsageError(
            "Either the rate of the outcome without the action or the spread of an outcome of money is needed.",
            where=f"{WHERE} --rate",
            fix="Give one of --rate and --spread, or name an action of the catalogue.",
        )
    if question.window_days is not None and question.window_days < 1:
        raise UsageError(
            f"The outcome has {question.window_days} days.", where=f"{WHERE} --window-days", fix="Give 1 or more."
        )
    for name in ("rate", "power", "significance", "control_share"):
        number = getattr(question, name)
        if number is not None and not 0 < number < 1:
            option = name.replace("_", "-")
            raise UsageError(
                f"--{option} is {number:g}.", where=f"{WHERE} --{option}", fix="Give a number between 0 and 1."
            )
    given = {
        "power": question.power,
        "confidence": 1 - question.significance,
        "share_control": question.control_share,
    }
    if question.spread is not None:
        arms_for, largest = partial(pilot_arms_of_money, question.spread, **given), 100 * question.spread
    else:
        rate = question.rate or 0.0
        arms_for, largest = partial(pilot_arms, rate, **given), (1 - rate) * (1 - 1e-9)
    arms = arms_for(effect)
    short = available is not None and question.per_day is None and arms.total > available
    per_day = question.per_day if question.per_day is not None or short else available
    days = None
    if per_day is not None and question.window_days is not None:
        days = pilot_days(arms.total, per_day, question.window_days)
    return PilotPlan(
        question=question,
        arms=arms,
        days=days,
        available=available,
        smallest=smallest_lift(arms_for, available, largest) if short and available else None,
        sources=sources,
        unit=unit,
    )


def plan_pilot(project: Project, action: str, question: PilotQuestion, as_of: datetime) -> PilotPlan:
    """The pilot of an action of the catalogue; what ``question`` leaves open is filled in.

    The effect is the catalogue's assumption. The rate, or the spread, of an outcome that purchases measure is that of
    the last window; of another outcome the rate is unknown, and taken to be near a half, which needs most customers.

    Raises:
        UsageError: the catalogue has no such action, or a number is out of range.
        NotEnoughDataError: the spread of an outcome of money is not known.
        RegistryError: no champions are there with which to count the customers who may get the action.
    """
    catalogue = required(open_catalogue(project.settings, project.feature_set))
    found = {one.id: one for one in catalogue.actions}
    if action not in found:
        raise UsageError(f"The catalogue has no action '{action}'.", where=WHERE, fix=did_you_mean(action, found))
    asked, sources = _filled(project, found[action], question, as_of)
    available = None
    if asked.per_day is None:
        available = eligible_customers(project.runtime(as_of=as_of), action)
        sources.append(f"{available:,} customers may have {action} by its rules as of {as_of:%Y-%m-%d}")
    unit = project.settings.project.currency if found[action].outcome.kind == "value" else ""
    return size_pilot(asked, available=available, sources=tuple(sources), unit=unit)


def _filled(
    project: Project, action: Action, question: PilotQuestion, as_of: datetime
) -> tuple[PilotQuestion, list[str]]:
    """The question with the catalogue's effect and window, and the rate or the spread; and where they come from."""
    sources: list[str] = []
    outcome = action.outcome
    window_days = question.window_days or outcome.window_days
    asked = replace(question, window_days=window_days)
    wrong = question.rate if outcome.kind == "value" else question.spread
    if wrong is not None:
        fitting = "--spread" if outcome.kind == "value" else "--rate"
        raise UsageError(
            f"The outcome of {action.id} is {'money' if outcome.kind == 'value' else 'a probability'}.",
            where=WHERE,
            fix=f"Give {fitting} instead.",
        )
    if asked.effect is None:
        asked = replace(asked, effect=action.prior.moments()[0])
        sources.append(f"The effect is the catalogue's prior of {action.id}, an assumption; give --effect for another")
    sources += _pays_from(action)
    if asked.rate is not None or asked.spread is not None:
        return asked, sources
    measured = outcome.measured_by == "purchases"
    if outcome.kind == "value":
        if not measured:
            raise NotEnoughDataError(
                f"How far {outcome.name} differs between customers is not known.",
                where=f"{WHERE} --spread",
                fix="Give its standard deviation, in money.",
            )
        sources.append(f"The spread is that of the net spend in the {window_days} days before {as_of:%Y-%m-%d}")
        return replace(asked, spread=_bought(project, as_of, window_days)[1]), sources
    if measured:
        sources.append(f"The rate is the share who bought in the {window_days} days before {as_of:%Y-%m-%d}")
        return replace(asked, rate=_bought(project, as_of, window_days)[0]), sources
    sources.append(
        f"How often {outcome.name} comes about without the action is not known: a rate near a half was taken, which "
        "needs most customers; give --rate where it is known"
    )
    return replace(asked, rate=0.5 - (asked.effect or 0.0) / 2), sources


def _pays_from(action: Action) -> list[str]:
    """The smallest effect at which the action brings what it costs, where a conversion has one price for all."""
    margin, cost = action.value.margin, action.cost
    if margin is None or action.outcome.kind != "binary":
        return []
    left = margin - cost.incentive_if_converted
    if left <= 0:
        return [f"{action.id} never pays: its incentive costs what a conversion is worth, or more"]
    least = (cost.contact + cost.incentive_taken_anyway * cost.incentive_if_converted) / left
    return [f"{action.id} pays from an effect of {100 * least:+.2f} percentage points on, by the catalogue's money"]


def _bought(project: Project, as_of: datetime, days: int) -> tuple[float, float]:
    """Of customers with a history before the last window: the share who bought in it, and the standard deviation of
    their net spend."""
    begin, window = project.moment(as_of - timedelta(days=days)), LabelWindow(days)
    features = project.features_of([begin])[begin]
    known = features.index[has_history(features)]
    bought = future_rows(project.profiles, "count(*) FILTER (amount > 0)", begin, window, as_of)
    spend = future_spend(project.profiles, known, begin, window, as_of)
    return float((bought.reindex(known).fillna(0) > 0).mean()), float(spend.to_numpy(float).std(ddof=1))


def pilot_lines(plan: PilotPlan, name: str = "the action") -> Iterable[str]:
    """The plan in plain sentences."""
    asked, arms = plan.question, plan.arms
    within = "" if asked.window_days is None else f" within {asked.window_days} days"
    yield (
        f"Pilot of {name}: {arms.treated:,} customers who get it and {arms.control:,} who get nothing, drawn at random "
        f"({arms.total:,} in all)"
    )
    if asked.spread is None:
        without = f"beside {asked.rate:.1%} without it"
    else:
        without = f"where customers differ by {asked.spread:,.2f} {plan.unit} (standard deviation)".replace("  ", " ")
    yield (
        f"It finds an effect of {_effect(asked.effect or 0.0, plan)}{within}, {without}, with a power of "
        f"{asked.power:.0%} at a significance level of {asked.significance:.1%} (two-sided)"
    )
    yield from plan.sources
    short = plan.available is not None and asked.per_day is None and arms.total > plan.available
    if short:
        yield f"These are too few for the pilot. {_instead(plan)}"
    elif plan.days is not None:
        entering = plan.days - (asked.window_days or 0)
        yield (
            f"It takes {plan.days:,} days: {entering:,} until the last customer has entered, and "
            f"{asked.window_days:,} until the outcome is known"
        )
    else:
        yield "For its days give --per-day (customers who can enter on one day) and --window-days (of the outcome)"


def _instead(plan: PilotPlan) -> str:
    if plan.smallest is None:
        return "They would not find any effect; let them enter over time, and give --per-day"
    return (
        f"All of them together would find an effect from {_effect(plan.smallest, plan)} on; look for one of that size, "
        "or let customers enter over time, and give --per-day"
    )


def _effect(effect: float, plan: PilotPlan) -> str:
    if plan.question.spread is not None:
        return f"{effect:+,.2f} {plan.unit} per customer".replace("  ", " ")
    return f"{100 * effect:+.2f} percentage points"
