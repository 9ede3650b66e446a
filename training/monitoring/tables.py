"""The tables of the monitoring page."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from kernel.alerts import Level
from kernel.types import Band
from training.evaluation.markup import tag
from training.evaluation.tables import body_row, head_row, scrolled
from training.evaluation.words import NONE, day, decimal, money, percent
from training.monitoring.drift import FeatureDrift, ScoreDrift
from training.monitoring.figures import Bounded, ChurnFigures, ValueFigures
from training.monitoring.found import Cohort, Found, Watched, ranking
from training.monitoring.ripeness import Kind, Ripeness, State
from training.monitoring.shape import Psi, Shape

_FEATURES = 12
_MOMENTS = 8
_CHIPS = {Level.OK: "good", Level.WATCH: "warning", Level.ALARM: "error"}
_GAP = "\N{NO-BREAK SPACE}"


def features_table(model: Watched) -> Element:
    """The features that moved most of a model."""
    heads = ("Feature", "", "Importance", "PSI", "By chance", "Usual", "Training", "Now", "Missing, training", "now")
    rows = [body_row(_feature(one)) for one in model.features[:_FEATURES]]
    table = tag("table", head_row(heads), tag("tbody", *rows), class_="features")
    return scrolled(table)


def _feature(one: FeatureDrift) -> list[str | Element]:
    named = tag("span", one.column.name, tag("small", one.column.phrase))
    hint = [tag("small", "as a year ago")] if one.as_last_year else []
    return [
        named,
        tag("span", chip(one.level if one.matters else Level.OK), *hint),
        percent(one.importance),
        _psi(one.psi),
        decimal(one.psi.by_chance, 2),
        decimal(one.moved, 2),
        _level(one.then),
        _level(one.now),
        percent(one.then.missing),
        percent(one.now.missing),
    ]


def _level(shape: Shape) -> str:
    if shape.words is not None:
        return f"{percent(shape.other_words)} other words"
    return NONE if shape.mean is None else f"{shape.mean:,.3g}"


def scores_table(kind: Kind, scores: Sequence[ScoreDrift], currency: str) -> Element:
    """The scores of the last moments, the newest first."""
    bands = [str(band) for band in Band] if kind == "churn" else []
    heads = ("Scored as of", "Model", "Customers", "PSI", "Mean", "Less that of the training")
    heads = (*heads, *(f"Band {band}" for band in bands), "Other status")
    rows = [body_row(_score(one, bands, currency)) for one in reversed(scores[-_MOMENTS:])]
    return scrolled(tag("table", head_row(heads), tag("tbody", *rows)))


def _score(one: ScoreDrift, bands: Sequence[str], currency: str) -> list[str | Element]:
    churn = one.kind == "churn"
    others = {name: share for name, share in one.statuses.items() if name != "scored" and share}
    words = ", ".join(f"{percent(share)} {name.replace('_', ' ')}" for name, share in others.items())
    return [
        day(one.as_of),
        one.model,
        f"{one.customers:,}",
        NONE if one.psi is None else _psi(one.psi),
        percent(one.mean) if churn else money(one.mean, currency),
        bounded(one.shift, by=100 if churn else 1, signed=True, digits=1, unit=" points" if churn else ""),
        *(percent(one.bands[band]) for band in bands),
        words or NONE,
    ]


def cohorts_table(kind: Kind, cohorts: Sequence[Cohort]) -> Element:
    """Scores with what came, the newest first."""
    shared = ("Scored as of", "Model", "Customers", "Came of expected")
    if kind == "churn":
        heads = (*shared, "AUC", "Promised", "Below it by", "Slope", "Calibration error", "Left out")
    else:
        heads = (*shared, "Rank correlation", "Promised", "Below it by", "In the 90 % interval", "Left out")
    rows = [body_row(_cohort(one)) for one in reversed(cohorts[-_MOMENTS:])]
    return scrolled(tag("table", head_row(heads), tag("tbody", *rows)))


def _cohort(one: Cohort) -> list[str | Element]:
    found = one.figures
    assert found is not None
    then = ranking(one.promised)
    return [
        day(one.ripe.as_of),
        one.ripe.model,
        f"{found.customers:,}",
        bounded(found.observed, by=100, digits=0, unit=f"{_GAP}%"),
        bounded(ranking(found)),
        bounded(then),
        bounded(one.drop, signed=True),
        *_own(found),
        _left_out(one),
    ]


def _left_out(one: Cohort) -> str:
    parts = {"treated": one.treated, "not known": one.unknown}
    return ", ".join(f"{count:,} {why}" for why, count in parts.items() if count) or NONE


def _own(found: ChurnFigures | ValueFigures) -> list[str | Element]:
    if isinstance(found, ValueFigures):
        return [bounded(found.covered, by=100, digits=0, unit=f"{_GAP}%")]
    chance = tag("small", f"by chance {decimal(found.calibration_by_chance)}".replace(" ", _GAP))
    return [bounded(found.slope, digits=2), tag("span", decimal(found.calibration_error), chance)]


def ledger_section(found: Found) -> Element:
    """Which scores can be compared with what came, and when the others can; the newest first."""
    heading = tag("h2", "When outcomes are known")
    if not found.ledger:
        return tag("section", heading, tag("p", "No scores are kept yet."))
    rows = [body_row([day(one.as_of), one.model, f"{one.customers:,}", _state(one)]) for one in reversed(found.ledger)]
    heads = ("Scored as of", "Model", "Customers", "Outcomes")
    return tag(
        "section",
        heading,
        tag("p", f"By the tables that reach until {day(found.known)}; an outcome that is not certain yet is left out."),
        scrolled(tag("table", head_row(heads), tag("tbody", *rows), class_="ledger")),
    )


def _state(one: Ripeness) -> str:
    if one.on is None:
        return f"never: {one.why}"
    return f"known since {day(one.on)}" if one.state is State.RIPE else f"known on {day(one.on)}"


def chip(level: Level) -> Element:
    """A level as a coloured word."""
    return tag("span", str(level), class_=f"chip {_CHIPS[level]}")


def bounded(
    found: Bounded | None, *, by: float = 1.0, signed: bool = False, digits: int = 3, unit: str = ""
) -> str | Element:
    """A figure with its interval below it."""
    if found is None:
        return NONE
    form = f"{'+' if signed else ''},.{digits}f"
    bounds = tag("small", f"{by * found.low:{form}} to {by * found.high:{form}}".replace(" ", _GAP))
    return tag("span", f"{by * found.estimate:{form}}{unit}", bounds)


def _psi(found: Psi) -> Element:
    bounds = f"{decimal(found.low, 2)} to {decimal(found.high, 2)}".replace(" ", _GAP)
    return tag("span", decimal(found.value, 2), tag("small", bounds))
