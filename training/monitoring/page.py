"""One self-contained HTML page: what changed since the models were trained, whether it matters, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from html import escape
from importlib.resources import files
from string import Template
from xml.etree.ElementTree import Element

from kernel.alerts import LEVELS, Alert, Level, Monitoring
from kernel.settings import Settings
from training.evaluation.markup import tag, written
from training.evaluation.plots import Chart
from training.evaluation.words import day, minute
from training.monitoring import tables
from training.monitoring.found import Cohort, Found, ranking
from training.monitoring.judge import MODELS
from training.monitoring.plots import course_chart, drift_chart
from training.monitoring.ripeness import Kind

_CSS = """
.features td:nth-child(2), .ledger td, .ledger th { text-align: left; }
.features tr > :first-child { min-width: 215px; max-width: 215px; white-space: normal; overflow-wrap: anywhere; }
.features thead > tr > * { min-width: 0; }
@media (max-width: 619px) { .features tr > :first-child { min-width: 150px; max-width: 150px; } }
"""
_VERDICTS = {
    Level.OK: ("good", "Nothing is sure to have changed that would matter."),
    Level.WATCH: ("warn", "Something changed: worth a look, and no reason to stop."),
    Level.ALARM: ("bad", "Something changed that matters: do what stands below before the scores are relied on."),
}
_DRAWN = 8
_CAPTIONS = {
    "drift": "Point: the PSI as computed. Bar: where it lies for sure; only a bar wholly beyond a line counts. Upright "
    "mark: what the feature moved by anyway before the training.",
    "auc": "A bar wholly below the dotted line: customers are put in a worse order than the back-test promised.",
    "observed": "1: what was expected came. A bar wholly above or below the line: the level is off.",
}
_TERMS = (
    (
        "PSI",
        "Population stability index: how differently the customers of now and those of the training spread over ten "
        "equal groups. It is above 0 by chance alone, the more so the fewer customers; the interval takes that out.",
    ),
    ("Interval", "95 %. Of features it is wider, so that it holds for all that matter to a model together."),
    (
        "Usual",
        "The PSI between the newest cut-off of the training and the training itself. What grows with the calendar "
        "moves all the time; only what moves more than that counts.",
    ),
    ("Importance", "Share of a feature in what the model tells customers apart by. Below 1 % it raises no alert."),
    ("AUC", "How often a customer who left had a higher probability than one who stayed; 0.5 is chance."),
    ("Came of expected", "Churners (or spend) that came, over what the scores had expected; 100 % is right."),
    ("Slope", "1: the probabilities are as bold as they may be; below 1 they are too bold, above it too timid."),
    (
        "Calibration error",
        "Mean distance of predicted and actual rate over ten groups, and in small what it would be if all were right.",
    ),
    ("Ripe", "The window in which the outcome is looked for is over, with its days of grace, in the data at hand."),
)


def render_monitoring(found: Found, result: Monitoring, settings: Settings) -> str:
    """The page: no script, no external asset, every text escaped, light or dark as the reader's system is."""
    title = f"{found.project.replace('_', ' ').capitalize()}: do the models still hold?"
    body = tag(
        "main",
        _header(found, result, title),
        _alerts(result),
        _features(found, settings),
        _scores(found),
        _outcomes(found),
        tables.ledger_section(found),
        _method(),
        tag(
            "footer",
            tag(
                "p",
                f"Made {minute(result.made_at)} from what was known at {minute(found.as_of)}. "
                "The page holds counts and names of features, and nothing about a customer.",
            ),
        ),
    )
    css = _package_text("report.css") + _CSS
    return Template(_package_text("report.html")).substitute(title=escape(title), css=css, content=written(body))


def _header(found: Found, result: Monitoring, title: str) -> Element:
    class_, sentence = _VERDICTS[result.level]
    facts = {
        "As of": f"{day(found.as_of)} (UTC); the tables reach until {day(found.known)}",
        "Models": ", ".join(f"{one.version}, trained {day(one.trained)}" for one in found.models.values()),
        "Scored moments looked at": str(len({one.as_of for one in found.ledger})),
        "Compared with last year": "no, there is too little history"
        if found.last_year is None
        else f"yes, {day(found.last_year)}",
    }
    return tag(
        "header",
        tag("p", "Monitoring", class_="quiet"),
        tag("h1", title),
        tag("p", sentence, class_=f"verdict {class_}"),
        tag("dl", *(tag("div", tag("dt", name), tag("dd", fact)) for name, fact in facts.items()), class_="facts"),
    )


def _alerts(result: Monitoring) -> Element:
    gravest_first = sorted(result.alerts, key=lambda one: -LEVELS.index(one.level))
    parts = [
        tag("h2", "What was found"),
        tag("ul", *map(_alert, gravest_first), class_="findings"),
    ]
    if result.not_judged:
        notes = tag("ul", *(tag("li", text) for text in result.not_judged))
        parts.append(tag("div", tag("h3", "Not judged yet"), notes, class_="thin"))
    return tag("section", *parts)


def _alert(alert: Alert) -> Element:
    name = f"{MODELS[alert.model].capitalize()}: {alert.check}"
    advice = [tag("p", tag("strong", "What to do: "), alert.advice, class_="advice")] if alert.advice else []
    return tag("li", tag("p", tables.chip(alert.level), " ", tag("strong", name)), tag("p", alert.what), *advice)


def _features(found: Found, settings: Settings) -> Element:
    parts = [
        tag("h2", "What the models are used on"),
        tag("p", "The customers of now beside those of the training; the features first that moved most of a model."),
    ]
    for kind, model in found.models.items():
        parts.append(tag("h3", f"{MODELS[kind].capitalize()}: {model.now:,} customers now, {model.customers:,} then"))
        if not model.features:
            parts.append(tag("p", "What it was trained on is not known; train again with this version."))
            continue
        chart = drift_chart(kind, model.features[:_DRAWN], settings.monitoring, day(found.as_of))
        parts += [tables.features_table(model), _charts([chart])]
    return tag("section", *parts)


def _scores(found: Found) -> Element:
    parts = [tag("h2", "What the models say")]
    if not found.scores:
        parts.append(tag("p", "No scores are kept yet: foresight score keeps those of each moment."))
    for kind in found.models:
        mine = [one for one in found.scores if one.kind == kind]
        if mine:
            parts += [tag("h3", MODELS[kind].capitalize()), tables.scores_table(kind, mine, found.currency)]
    return tag("section", *parts)


def _outcomes(found: Found) -> Element:
    parts = [tag("h2", "What came of it")]
    for kind in found.models:
        told = [one for one in found.cohorts if one.ripe.kind == kind and one.figures is not None]
        if told:
            parts += [
                tag("h3", MODELS[kind].capitalize()),
                tables.cohorts_table(kind, told),
                _charts(_courses(kind, told)),
            ]
    if len(parts) == 1:
        parts.append(tag("p", "No scores are ripe yet; the table below says when the first will be."))
    return tag("section", *parts)


def _courses(kind: Kind, told: Sequence[Cohort]) -> list[Chart]:
    observed = [(one.ripe.as_of, one.figures.observed) for one in told if one.figures is not None]
    when = f"{day(told[0].ripe.as_of)} to {day(told[-1].ripe.as_of)}"
    unit = "Churners over expected" if kind == "churn" else "Spend over expected"
    drawn = [course_chart("observed", f"{unit}, {when}", unit, observed, ("As expected", [1.0] * len(observed)))]
    ranked = [
        (one.ripe.as_of, now, then.estimate)
        for one in told
        if (now := ranking(one.figures)) is not None and (then := ranking(one.promised)) is not None
    ]
    if ranked:
        unit = "AUC" if kind == "churn" else "Rank correlation"
        points = [(moment, now) for moment, now, _ in ranked]
        promised = ("Promised", [then for _, _, then in ranked])
        drawn.insert(0, course_chart("auc", f"{unit}, {when}", unit, points, promised))
    return drawn


def _method() -> Element:
    return tag(
        "section",
        tag("h2", "How to read it"),
        tag("dl", *(tag("div", tag("dt", term), tag("dd", text)) for term, text in _TERMS), class_="terms"),
    )


def _charts(drawn: Sequence[Chart]) -> Element:
    return tag("div", *map(_figure, drawn), class_="charts")


def _figure(chart: Chart) -> Element:
    words = _CAPTIONS[chart.name.rpartition("_")[2]]
    return tag("figure", tag("figcaption", tag("h3", chart.title), tag("p", words)), chart.svg())


@cache
def _package_text(name: str) -> str:
    return files("training.evaluation").joinpath(name).read_text(encoding="utf-8")
