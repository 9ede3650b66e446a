"""One self-contained HTML page on what the models are worth, for a manager: sentences first, then the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from training.evaluation import statements, tables
from training.evaluation.figures import charts, earlier
from training.evaluation.markup import tag, written
from training.evaluation.plots import (
    Chart,
    auc_over_time_chart,
    gains_chart,
    reliability_chart,
    rhythm_chart,
)
from training.evaluation.report_value import value_section
from training.evaluation.summary import SummaryRow, summary_rows
from training.evaluation.tables import PublishedFigure
from training.evaluation.words import day, listed, minute, what, who

if TYPE_CHECKING:
    from features.contract.findings import Finding
    from kernel.settings import Settings
    from training.backtest import BacktestResult
    from training.labels.buying import Cohort, WeeklyPurchases
    from training.labels.rhythm import Rhythm

__all__ = ["PublishedFigure", "SummaryRow", "render_report", "summary_rows"]

_GRADES = (
    "A: right about at least half of all customers, and finds at least 10 % more of those who left than the baseline "
    "with as many flags. B: the same, but less than 10 % more. C: otherwise. The small figures are the 90 % interval; "
    '"Sure" is the share of resampled customers that earn the same grade.'
)
_FACTORS = (
    "Mean parts in the log-odds of leaving, by group of features, beside the average of training: +0.69 doubles the "
    "odds, -0.69 halves them. They are exact, and say what the model goes by, not what an action would change."
)
_TERMS = (
    (
        "AUC",
        "How often a customer who left had a higher risk than one who stayed; 0.5 is chance, 1 is perfect. Intervals "
        "are 95 %, by DeLong's method.",
    ),
    ("Average precision", "How pure the top of the risk list is, from the share who left (chance) to 1."),
    ("Lift, top tenth", "How many times as many left among the tenth at the highest risk as among all."),
    ("Calibration error", "Mean distance of predicted and actual churn rate over ten groups; 0.01 is one point."),
    ("Brier score", "Mean squared distance of probability and outcome; lower is better."),
    ("Recency rule", "Who has not bought for the longest time leaves first. It gives an order, no probability."),
    ("Logistic regression", "A straight-line model on recency, frequency and spend."),
    ("P(alive)", "The chance that a customer has not left for good, by BTYD; it stands for 1 - P(leaves)."),
    ("Mean absolute error", "By how much the expected spend of one customer misses on average."),
    (
        "Trees over BTYD",
        "Decision trees that learn by how much spend departs from what BTYD and the customer's current pace foretell.",
    ),
    ("Two-part trees", "The same in two parts: whether a customer buys at all, and for how much if so."),
    (
        "BTYD",
        "Buy till you die: purchase counts and order values by the models of the literature (BG/NBD, MBG/NBD or "
        "Pareto/NBD, and Gamma-Gamma).",
    ),
    ("Carry-forward", "The spend of the last days goes on as it was."),
    ("Formula", "Average spend a month so far, times the months looked ahead, times the share of customers who go on."),
    ("RFM cell mean", "What customers of a similar recency, frequency and spend came to."),
    ("Cohort curve", "What customers came to who were customers for as long."),
    ("Rank correlation", "Spearman's: do those expected to spend more spend more? 0 is chance, 1 is perfect."),
    ("Normalised Gini", "The same for money: how well the top spenders are found; 0 is chance, 1 is perfect."),
)


def render_report(
    settings: Settings,
    results: Sequence[BacktestResult],
    *,
    findings: Sequence[Finding],
    models: Mapping[str, str],
    as_of: datetime,
    made_at: datetime,
    published: Sequence[PublishedFigure] = (),
    rhythm: Rhythm | None = None,
    purchases: WeeklyPurchases | None = None,
    cohorts: Sequence[Cohort] = (),
) -> str:
    """The page: no script, no external asset, every text escaped, light or dark as the reader's system is.

    Args:
        results: back-tests in any order; without one the page says that the quality is not known.
        findings: the usability report of the tables.
        models: version of the model in use by kind, such as ``{"churn": "churn/3"}``.
        as_of: the moment up to which data was looked at for the models.
        made_at: when the page was made.
        published: figures of others to stand beside ours.
        rhythm: of the customers, where churn is that no purchase comes.
        purchases: by week, before and after the newest of ``results``; None where there are none.
        cohorts: what customers have spent since their first purchase, oldest cohort first.
    """
    ordered = sorted(results, key=lambda result: result.as_of)
    title = f"{settings.project.name}: churn and lifetime value"
    body = tag(
        "main",
        _header(settings, ordered, models, as_of, title),
        _in_short(settings, ordered),
        *([_churn(settings, ordered), value_section(settings, ordered, purchases, cohorts)] if ordered else []),
        *([_rhythm(rhythm, settings.churn.horizon_days)] if rhythm is not None else []),
        *([_published(published)] if published else []),
        _findings(findings),
        *([_method(settings, ordered)] if ordered else []),
        _footer(models, as_of, made_at),
    )
    template = Template(_package_text("report.html"))
    return template.substitute(title=escape(title), css=_package_text("report.css"), content=written(body))


def _header(
    settings: Settings, results: Sequence[BacktestResult], models: Mapping[str, str], as_of: datetime, title: str
) -> Element:
    churn, value = settings.churn, settings.value
    facts = {
        "As of": f"{day(as_of)} (UTC)",
        "Models": ", ".join(models.values()) or "none in use yet",
        "For whom": who(churn),
        "Churn": what(churn),
        "Lifetime value": f"net spend in the next {value.horizon_days} days, in {settings.project.currency}",
        "Looked back from": listed([day(result.as_of) for result in results]) or "no date",
    }
    return tag(
        "header",
        tag("p", "Model report", class_="quiet"),
        tag("h1", title),
        tag("dl", *(tag("div", tag("dt", name), tag("dd", fact)) for name, fact in facts.items()), class_="facts"),
    )


def _in_short(settings: Settings, results: Sequence[BacktestResult]) -> Element:
    parts: list[Element] = []
    if results:
        newest = results[-1]
        parts = [
            _sentences(statements.churn_sentences(newest, settings), "says"),
            _sentences(statements.value_sentences(newest, settings), "says value"),
        ]
    return tag("section", tag("h2", "In short"), *parts, _thin(statements.thin_evidence(results, settings)))


def _sentences(texts: Sequence[str], class_: str) -> Element:
    return tag("ul", *(tag("li", text) for text in texts), class_=class_)


def _thin(notes: Sequence[str]) -> Element:
    if not notes:
        text = (
            f"At least {statements.FEW_DATES} dates with outcomes of their own, at least {statements.FEW_CHURNERS} "
            "customers who left at each, and a ranking better than the recency rule's at each."
        )
        return tag("div", tag("h3", "No thin evidence was found"), tag("p", text), class_="thin none")
    return tag("div", tag("h3", "Where the evidence is thin"), _sentences(notes, ""), class_="thin")


def _churn(settings: Settings, results: Sequence[BacktestResult]) -> Element:
    return tag(
        "section",
        tag("h2", "Churn"),
        tag(
            "p",
            "The model was trained on what was known at each date and then compared with what came in the "
            f"{settings.churn.horizon_days} days after it.",
        ),
        tag("h3", "Grade"),
        tables.grade_table(results),
        tag("p", _GRADES, class_="quiet under"),
        tag("h3", "What a team reaches"),
        tables.reach_table(results, settings.churn.contacts),
        *([_sentences(profit, "under")] if (profit := statements.profit_sentences(results[-1], settings)) else []),
        tag("h3", f"Who was missed on {day(results[-1].as_of)}"),
        tables.fates_table(results[-1], settings.project.currency),
        tag("p", "Medians of what was known on that date.", class_="quiet under"),
        tag("h3", f"What drives the risk in each band on {day(results[-1].as_of)}"),
        tables.factors_table(results[-1]),
        tag("p", _FACTORS, class_="quiet under"),
        tag("h3", "The model and what it is compared with"),
        tables.churn_table(results),
        tag("p", "The small figures under the model's AUC are its 95 % interval.", class_="quiet under"),
        tag("p", statements.brier_sentence(results[-1]), class_="under"),
        *([tag("p", unseen, class_="under")] if (unseen := statements.out_of_customer(results[-1])) else []),
        *([tag("p", held, class_="under")] if (held := statements.rate_coverage(results)) else []),
        charts([*_churn_charts(results[-1]), *([auc_over_time_chart(results)] if len(results) > 1 else [])]),
        *earlier([chart for result in results[:-1] for chart in _churn_charts(result)]),
    )


def _rhythm(rhythm: Rhythm, horizon_days: int) -> Element:
    return tag(
        "section",
        tag("h2", "The customers' own rhythm"),
        tag("p", statements.rhythm_sentence(rhythm, horizon_days)),
        charts([rhythm_chart(rhythm, horizon_days)]),
    )


def _churn_charts(result: BacktestResult) -> list[Chart]:
    return [reliability_chart(result), *([gains_chart(result)] if result.churned.any() else [])]


def _published(figures: Sequence[PublishedFigure]) -> Element:
    return tag("section", tag("h2", "Beside published figures"), tables.published_table(figures))


def _findings(findings: Sequence[Finding]) -> Element:
    found = tables.findings_list(findings) if findings else tag("p", "Nothing was found to be wrong or thin.")
    return tag("section", tag("h2", "The data"), found)


def _method(settings: Settings, results: Sequence[BacktestResult]) -> Element:
    trained = "; ".join(
        f"{day(one.as_of)}: {one.training_rows:,} rows of {one.cutoffs} earlier cut-offs" for one in results
    )
    return tag(
        "section",
        tag("h2", "How it was measured"),
        tag(
            "p",
            "For each date, models were trained only on rows whose outcome was already known then; nothing later was "
            f"used. Training rows ({settings.training.step_days} days between cut-offs): {trained}.",
        ),
        tag("dl", *(tag("div", tag("dt", term), tag("dd", text)) for term, text in _TERMS), class_="terms"),
    )


def _footer(models: Mapping[str, str], as_of: datetime, made_at: datetime) -> Element:
    versions = f"models {', '.join(models.values())}" if models else "no model in use yet"
    facts = [f"Made {minute(made_at)}", f"data up to {minute(as_of)}", versions]
    return tag("footer", tag("p", " · ".join(facts)))


@cache
def _package_text(name: str) -> str:
    return files("training.evaluation").joinpath(name).read_text(encoding="utf-8")
