"""The section of the report on lifetime value: its models, its grade, and what the models of buying say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

import numpy as np

from training.evaluation import statements, tables
from training.evaluation.figures import charts, earlier
from training.evaluation.markup import tag
from training.evaluation.plots import Chart, error_over_time_chart, value_chart
from training.evaluation.tracking import Tracking, track
from training.evaluation.value import lorenz
from training.evaluation.value_plots import (
    cohort_curves,
    frequency_recency_heatmaps,
    lorenz_chart,
    weekly_actual_against_expected,
)
from training.evaluation.words import listed, month, percent
from training.models.baselines import carry_forward

if TYPE_CHECKING:
    from kernel.settings import Settings
    from training.backtest import BacktestResult
    from training.labels.buying import Cohort, WeeklyPurchases

_MOST_FREQUENT = 0.95  # of the customers: heat maps leave out the few who come more often


def value_section(
    settings: Settings,
    results: Sequence[BacktestResult],
    purchases: WeeklyPurchases | None,
    cohorts: Sequence[Cohort],
) -> Element:
    """The section.

    Args:
        results: at least one, oldest first.
        purchases: until the newest of them and after it; None where there are none.
        cohorts: oldest first.
    """
    newest, currency = results[-1], settings.project.currency
    over_time = [error_over_time_chart(results)] if len(results) > 1 else []
    return tag(
        "section",
        tag("h2", "Lifetime value"),
        tag(
            "p",
            f"Expected net spend of each customer in the {settings.value.horizon_days} days after the date, in "
            f"{currency}, compared with what they spent.",
        ),
        tag("h3", "The models and what they are compared with"),
        tables.value_table(results, currency),
        tag("p", statements.coverage(results), class_="under"),
        *_under(statements.segment_sentence(newest)),
        tag("h3", "Grade"),
        tables.value_grade_table(results),
        tag("p", _grades(settings), class_="quiet under"),
        charts([*_spend_charts(newest, settings), *over_time]),
        *earlier([chart for result in results[:-1] for chart in _spend_charts(result, settings)]),
        *_buying(settings, newest, purchases, cohorts),
    )


def _grades(settings: Settings) -> str:
    return (
        "A: finds at least 5 % more of the customers who spent most than the formula does; B: 0 to 5 % more; C: fewer. "
        f"Those who spent most are the first {percent(settings.value.top_share)} of all customers, as far as they "
        'spent anything, and both name as many. The small figures are the 90 % interval; "Sure" is the share of '
        "resampled customers that earn the same grade."
    )


def _under(text: str) -> list[Element]:
    return [tag("p", text, class_="under")] if text else []


def _spend_charts(result: BacktestResult, settings: Settings) -> list[Chart]:
    orders = {
        "model": result.expected,
        "carry_forward": carry_forward(result.features, settings.value.horizon_days),
        "actual": result.spend,
    }
    curves = {name: lorenz(order, result.spend) for name, order in orders.items()}
    return [value_chart(result, settings.project.currency), lorenz_chart(curves, result.as_of)]


def _buying(
    settings: Settings, newest: BacktestResult, purchases: WeeklyPurchases | None, cohorts: Sequence[Cohort]
) -> list[Element]:
    """What the models of buying suppose, and whether customers do."""
    tracking = None if purchases is None else track(purchases, newest.value_model.manifest.purchases.model())
    drawn = [
        *([] if tracking is None else [*_tracking_charts(tracking, settings), *_heatmaps(newest, settings)]),
        *([_cohort_chart(cohorts, settings, newest)] if cohorts else []),
    ]
    return [
        tag("h3", "When customers buy, and for how much"),
        *_under(statements.family_sentence(newest)),
        *_under("" if tracking is None else statements.tracking_sentence(tracking)),
        *_under(statements.order_value_sentence(newest)),
        *([charts(drawn)] if drawn else []),
        *([tag("p", _sizes(cohorts), class_="quiet under")] if cohorts else []),
    ]


def _tracking_charts(tracking: Tracking, settings: Settings) -> list[Chart]:
    return [
        weekly_actual_against_expected(
            tracking.weeks,
            tracking.actual,
            tracking.expected,
            tracking.known_until,
            zone=settings.project.timezone,
            cumulative=cumulative,
        )
        for cumulative in (False, True)
    ]


def _cohort_chart(cohorts: Sequence[Cohort], settings: Settings, newest: BacktestResult) -> Chart:
    curves = {month(cohort.month): cohort.spend for cohort in cohorts}
    return cohort_curves(curves, settings.project.currency, newest.as_of)


def _sizes(cohorts: Sequence[Cohort]) -> str:
    return f"Customers in the cohorts: {listed([f'{one.customers:,} of {month(one.month)}' for one in cohorts])}."


def _heatmaps(newest: BacktestResult, settings: Settings) -> tuple[Chart, Chart]:
    """Of customers as old as half of those in the back-test."""
    ages, counts = (newest.features[name].to_numpy(dtype="float64") for name in ("T_days", "frequency"))
    age, often = round(float(np.nanmedian(ages))), max(1, round(float(np.nanquantile(counts, _MOST_FREQUENT))))
    model = newest.value_model.manifest.purchases.model()
    return frequency_recency_heatmaps(model, age, settings.value.horizon_days, often)
