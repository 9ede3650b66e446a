"""What was found, as alerts: each has evidence, says what changed, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from kernel.alerts import Alert, Level, Monitoring, worst
from kernel.monitoring_settings import MonitoringSettings
from training.evaluation.words import day, decimal, listed, money, percent
from training.monitoring.drift import FeatureDrift, ScoreDrift
from training.monitoring.figures import Bounded, ChurnFigures
from training.monitoring.found import Cohort, Found, Watched
from training.monitoring.ripeness import Kind, State

MODELS: dict[Kind, str] = {"churn": "churn model", "value": "lifetime-value model"}
_NAMED = 3  # features in a sentence
_ENOUGH = 0.05  # of what a model goes by: less of it in alarm is only worth a look
_NEW_WORDS = 0.1  # of the customers, from which on they are the story
_HALF = 0.5  # of the limit of a figure that comes from outcomes: worth a look
_OF_SCORES: dict[Kind, str] = {"churn": "churn probabilities", "value": "lifetime values"}
_CAME: dict[Kind, str] = {"churn": "churners", "value": "spend"}


def judged(found: Found, settings: MonitoringSettings, made_at: datetime) -> Monitoring:
    """The alerts of one look."""
    alerts: list[Alert] = []
    not_judged: list[str] = []
    for kind, model in found.models.items():
        for one in (
            _features(kind, model, settings),
            *_scores(kind, found, settings),
            *_outcomes(kind, found, settings),
        ):
            if isinstance(one, Alert):
                alerts.append(one)
            else:
                not_judged.append(one)
    return Monitoring(
        project=found.project,
        as_of=found.as_of,
        made_at=made_at,
        psi_max={kind: _largest(model) for kind, model in found.models.items()},
        alerts=tuple(alerts),
        not_judged=tuple(not_judged),
    )


def _largest(model: Watched) -> float:
    return max((one.psi.beyond_chance for one in model.features if one.matters), default=0.0)


def _features(kind: Kind, model: Watched, settings: MonitoringSettings) -> Alert | str:
    if not model.features:
        return f"Features of the {MODELS[kind]}: what it was trained on is not known; train again with this version."
    important = [one for one in model.features if one.matters]
    level = worst(one.level for one in important)
    gravest = [one for one in important if one.level is level]
    share = sum(one.importance for one in gravest)
    if level is Level.ALARM and share < _ENOUGH:
        level = Level.WATCH  # it is sure that they moved, and not that the scores suffer
    top = max(gravest, key=lambda one: one.psi.low, default=None)
    what, advice = f"No feature that matters to the {MODELS[kind]} has surely moved beyond what it moves anyway.", ""
    if level is not Level.OK:
        names = [f"'{one.column.name}'" for one in gravest]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        shown = listed(names) if not more else ", ".join(names[:_NAMED]) + more
        what = (
            f"{shown}: other customers, or other data, than when the {MODELS[kind]} was trained on "
            f"{day(model.trained)}. They are {percent(share)} of what it goes by."
        )
        advice = _advice(gravest)
    return Alert(
        check="features",
        model=kind,
        level=level,
        what=what,
        advice=advice,
        estimate=top.psi.value if top else 0.0,
        low=top.psi.low if top else 0.0,
        high=top.psi.high if top else 0.0,
        threshold=max(settings.psi_alarm, top.moved) if top else settings.psi_alarm,
    )


def _advice(drifted: Sequence[FeatureDrift]) -> str:
    lost = [one.column.name for one in drifted if one.lost]
    if lost:
        return f"Check the feed first: {listed(lost[:_NAMED])} was known and is mostly missing now. Then train again."
    new = [one.column.name for one in drifted if one.now.other_words - one.then.other_words > _NEW_WORDS]
    if new:
        return f"New words in {listed(new[:_NAMED])}: check the feed, then train again so that the model learns them."
    if all(one.as_last_year for one in drifted):
        return "It is as a year ago at this time: the season, most likely. Train on a history that has this season."
    return "Look whether a feed or a definition changed; if customers did, train again and see whether the gate passes."


def _scores(kind: Kind, found: Found, settings: MonitoringSettings) -> Iterator[Alert | str]:
    newest = found.newest_scores(kind)
    if newest is None:
        yield f"Scores of the {MODELS[kind]}: none is kept yet; foresight score keeps them."
        return
    if newest.psi is None or newest.shift is None:
        yield f"Scores of the {MODELS[kind]}: what {newest.model} was trained on is not known, or nobody was scored."
        return
    moved = newest.level is not Level.OK
    yield Alert(
        check="scores",
        model=kind,
        level=newest.level,
        what=f"The {_OF_SCORES[kind]} of {day(newest.as_of)} are {'not ' if moved else ''}spread as those at the "
        f"training: their mean is {_mean(newest, found.currency)}.",
        advice="Look at the features that moved; if they are right, so are the scores, and what is planned by bands "
        "or totals should be planned anew."
        if moved
        else "",
        estimate=newest.psi.value,
        low=newest.psi.low,
        high=newest.psi.high,
        threshold=settings.psi_alarm,
    )


def _mean(one: ScoreDrift, currency: str) -> str:
    assert one.shift is not None
    shift = one.shift
    if one.kind == "churn":
        span = f"{100 * shift.low:+.1f} to {100 * shift.high:+.1f}"
        return f"{percent(one.mean)} ({100 * shift.estimate:+.1f} points, 95 % interval {span})"
    span = f"{shift.low:+,.0f} to {shift.high:+,.0f}"
    return f"{money(one.mean, currency)} ({shift.estimate:+,.0f}, 95 % interval {span})"


def _outcomes(kind: Kind, found: Found, settings: MonitoringSettings) -> Iterator[Alert | str]:
    newest = found.newest_cohort(kind)
    if newest is None or newest.figures is None:
        yield f"Outcomes of the {MODELS[kind]}: {_when(kind, found)}"
        return
    yield _calibration(newest, newest.figures.observed, settings)
    if kind == "churn":
        drop = newest.drop
        if drop is None:
            yield "AUC of the churn model: too few of one outcome, or no back-test to compare it with."
        else:
            yield _ranking(newest, drop, settings)


def _when(kind: Kind, found: Found) -> str:
    waiting = [one.on for one in found.ledger if one.kind == kind and one.state is State.WAITING and one.on]
    if not waiting:
        return "no scores are kept whose outcomes will be known."
    return f"none is known yet; the first scores that are kept are ripe on {day(min(waiting))}."


def _calibration(cohort: Cohort, observed: Bounded, settings: MonitoringSettings) -> Alert:
    off = settings.calibration
    level = _beyond(observed, 1 + off, 1 / (1 + off), Level.ALARM) or _beyond(
        observed, 1 + _HALF * off, 1 / (1 + _HALF * off), Level.WATCH
    )
    kind, more = cohort.ripe.kind, observed.estimate > 1
    said = f"{'Probabilities' if kind == 'churn' else 'Values'} are too {'low' if more else 'high'}"
    what = (
        f"Of the scores of {day(cohort.ripe.as_of)} by {cohort.ripe.model}, {percent(observed.estimate)} of the "
        f"expected {_CAME[kind]} came (95 % interval {percent(observed.low)} to {percent(observed.high)})."
    )
    return Alert(
        check="calibration",
        model=kind,
        level=level or Level.OK,
        what=what,
        advice=f"{said}: train again, which sets the level anew; until then trust the order, not the size."
        if level
        else "",
        estimate=observed.estimate,
        low=observed.low,
        high=observed.high,
        threshold=1 + off if more else 1 / (1 + off),
    )


def _beyond(found: Bounded, above: float, below: float, level: Level) -> Level | None:
    return level if found.low > above or found.high < below else None


def _ranking(cohort: Cohort, drop: Bounded, settings: MonitoringSettings) -> Alert:
    assert isinstance(cohort.figures, ChurnFigures)
    assert cohort.figures.auc is not None
    level = Level.OK
    if drop.low > _HALF * settings.auc_drop:
        level = Level.ALARM if drop.low > settings.auc_drop else Level.WATCH
    auc = cohort.figures.auc
    side = "below" if drop.estimate > 0 else "above"
    sure = "" if drop.low > 0 or drop.high < 0 else ", no more than chance does"
    return Alert(
        check="ranking",
        model="churn",
        level=level,
        what=f"AUC {decimal(auc.estimate)} on the scores of {day(cohort.ripe.as_of)}: "
        f"{decimal(abs(drop.estimate))} {side} what the back-test of {cohort.ripe.model} promised{sure} "
        f"(95 % interval of the drop {drop.low:+.3f} to {drop.high:+.3f}).",
        advice="Train again; if the new back-test is no better, behaviour has changed beyond the features: look at "
        "what is new in the business."
        if level is not Level.OK
        else "",
        estimate=drop.estimate,
        low=drop.low,
        high=drop.high,
        threshold=settings.auc_drop,
    )
