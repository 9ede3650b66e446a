"""Charts of lifetime value: exact marks, titles and units, and no customer too odd to be drawn."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from numpy.typing import ArrayLike

from kernel.btyd import BgNbd, MbgNbd
from kernel.errors import DataError, UsageError
from kernel.pareto_nbd import ParetoNbd
from training.evaluation.discrimination import gains_curve
from training.evaluation.plots import Chart
from training.evaluation.value_plots import (
    alive_through_time,
    cohort_curves,
    frequency_recency_heatmaps,
    lorenz_chart,
    weekly_actual_against_expected,
)

# As fitted on the CDNOW sample, time in weeks.
PARETO_NBD = ParetoNbd(0.5533, 10.578, 0.6062, 11.669, 7.0)
MODELS = [PARETO_NBD, BgNbd(0.2426, 4.4137, 0.793, 2.4262, 7.0), MbgNbd(0.525, 6.183, 0.891, 1.614, 7.0)]
WEEKS = pd.date_range("2017-01-02", periods=10, freq="7D", tz="UTC")
FEBRUARY = datetime(2017, 2, 6, tzinfo=UTC)
NAN = float("nan")


def weekly(actual: ArrayLike = 10, expected: ArrayLike = 8, weeks: pd.DatetimeIndex = WEEKS, **given: Any) -> Chart:
    first, second = (np.broadcast_to(np.asarray(column, dtype=float), len(weeks)) for column in (actual, expected))
    return weekly_actual_against_expected(weeks, first, second, FEBRUARY, **given)


def cohorts(count: int) -> dict[str, np.ndarray]:
    """Younger ones are watched for fewer months, and spend alike."""
    return {f"{2017 + i // 4} Q{i % 4 + 1}": 50 + 10.0 * np.arange(2 + 3 * (count - i)) for i in range(count)}


def lorenz(expected: ArrayLike, spend: ArrayLike) -> Chart:
    known = np.asarray(spend, dtype=float)
    orders = {"model": np.asarray(expected, dtype=float), "carry_forward": np.ones(known.size), "actual": known}
    return lorenz_chart({name: gains_curve(order, known) for name, order in orders.items()}, FEBRUARY)


def charts() -> list[Chart]:
    spend = np.linspace(0, 200, 100)
    return [
        *frequency_recency_heatmaps(PARETO_NBD, 270, 90, 12),
        alive_through_time(PARETO_NBD, [3, 10, 60], 200),
        weekly(),
        weekly(cumulative=True),
        weekly(currency="EUR"),
        weekly(currency="EUR", cumulative=True),
        cohort_curves(cohorts(8), "EUR", FEBRUARY),
        lorenz(spend, spend),
    ]


def drawn(*some: Chart) -> None:
    """Nothing warns or fails while it is drawn: warnings are errors in the tests."""
    for chart in some:
        assert chart.png()[:8] == b"\x89PNG\r\n\x1a\n"
        assert chart.svg().get("aria-label") == chart.alt


def axes_of(chart: Chart) -> Any:
    return chart.figure.axes[0]


def labels(chart: Chart) -> list[object]:
    return [line.get_label() for line in axes_of(chart).lines]


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


class TestEveryChart:
    def test_has_a_name_of_its_own_a_title_and_units(self) -> None:
        assert [
            (chart.name, chart.title, axes_of(chart).get_xlabel(), axes_of(chart).get_ylabel()) for chart in charts()
        ] == [
            (
                "alive_by_history",
                "P(alive), 270 days after the first purchase",
                "Repeat purchase days (frequency)",
                "Last purchase, day (recency)",
            ),
            (
                "purchases_by_history",
                "Purchases expected in the next 90 days",
                "Repeat purchase days (frequency)",
                "Last purchase, day (recency)",
            ),
            (
                "alive_through_time",
                "P(alive) of one customer, day by day",
                "Days since the first purchase",
                "P(alive), %",
            ),
            (
                "weekly_purchases",
                "Purchases per week, known until 6 Feb 2017",
                "Week that starts on (UTC)",
                "Purchases per week",
            ),
            (
                "cumulative_purchases",
                "Purchases so far, known until 6 Feb 2017",
                "Week that starts on (UTC)",
                "Purchases so far",
            ),
            (
                "weekly_spend",
                "Spend per week, known until 6 Feb 2017",
                "Week that starts on (UTC)",
                "Spend per week, EUR",
            ),
            (
                "cumulative_spend",
                "Spend so far, known until 6 Feb 2017",
                "Week that starts on (UTC)",
                "Spend so far, EUR",
            ),
            (
                "cohort_curves",
                "Spend since the first purchase, 6 Feb 2017",
                "Months since the first purchase",
                "Spend per customer so far, EUR",
            ),
            (
                "lorenz",
                "Share of all spend, 6 Feb 2017",
                "Customers, highest expected first, %",
                "Share of all spend, %",
            ),
        ]

    def test_stands_in_a_page_of_either_theme(self) -> None:
        for chart in charts():
            svg = chart.svg()
            assert {"image", "style", "script"}.isdisjoint(element.tag for element in svg.iter())
            assert all(element.attrib["href"].startswith("#") for element in svg.iter() if "href" in element.attrib)
            text = ElementTree.tostring(svg, encoding="unicode")
            # Black and white are nobody's choice: a page could not replace them.
            colours = set(text.replace(" ", "").split("#")[1:])
            assert not [colour for colour in colours if colour[:6].lower() in ("000000", "ffffff")]
            assert len(text) < 60_000

    def test_same_figures_same_bytes(self) -> None:
        for one, other in zip(charts(), charts(), strict=True):
            assert one.png() == other.png()
            assert ElementTree.tostring(one.svg()) == ElementTree.tostring(other.svg())


class TestHeatmaps:
    @pytest.mark.parametrize("model", MODELS)
    def test_cells_are_the_model_s(self, model: BgNbd | ParetoNbd) -> None:
        alive, purchases = frequency_recency_heatmaps(model, 270, 90, 12)
        # The middle of a row: 60 rows of 4.5 days.
        recency = 20.25 + 45 * np.arange(6)
        for frequency in (1, 5, 12):
            chances = model.probability_alive(frequency, recency, 270)
            assert [shade(alive, frequency, day) for day in recency] == pytest.approx(
                0.1 + 0.1 * np.minimum(np.floor(10 * chances), 9)
            )
            expected = model.expected_purchases(90, frequency, recency, 270)
            shades = [shade(purchases, frequency, day) for day in recency]
            assert shades == sorted(shades)
            assert (np.diff(expected) > 0).all()

    def test_what_cannot_be_is_blank(self) -> None:
        alive, purchases = frequency_recency_heatmaps(PARETO_NBD, 30, 90, 12)
        for chart in (alive, purchases):
            assert np.isnan([shade(chart, 12, 11.25), shade(chart, 0, 0.75), shade(chart, 0, 29.75)]).all()
            assert np.isfinite([shade(chart, 12, 12.25), shade(chart, 0, 0.25), shade(chart, 1, 29.75)]).all()

    def test_unit_stands_at_the_colours(self) -> None:
        alive, purchases = frequency_recency_heatmaps(PARETO_NBD, 270, 90, 12)
        assert [chart.figure.axes[1].get_xlabel() for chart in (alive, purchases)] == [
            "P(alive), %",
            "Purchase days expected in 90 days",
        ]
        assert alive.alt.startswith("P(alive), %, by repeat purchase days: 0: 29.7 to 29.7; 3: 1.4 to 99.6; ")

    def test_many_purchases_share_few_columns(self) -> None:
        alive, _ = frequency_recency_heatmaps(PARETO_NBD, 900, 90, 100)
        middles = {round(bar.get_x() + bar.get_width() / 2) for bar in axes_of(alive).patches}
        assert middles == set(range(0, 101, 5))

    @pytest.mark.parametrize(("age", "horizon", "most"), [(0, 90, 3), (1, 0, 0), (2, 90, 30), (4000, 90, 2)])
    def test_odd_customers(self, age: int, horizon: int, most: int) -> None:
        for model in MODELS:
            drawn(*frequency_recency_heatmaps(model, age, horizon, most))

    def test_what_it_refuses(self) -> None:
        with pytest.raises(UsageError, match="not a length of time"):
            frequency_recency_heatmaps(PARETO_NBD, 270, NAN, 3)
        with pytest.raises(DataError, match="negative or missing"):
            frequency_recency_heatmaps(PARETO_NBD, NAN, 90, 3)
        with pytest.raises(ValueError, match="-1 repeat purchase days"):
            frequency_recency_heatmaps(PARETO_NBD, 270, 90, -1)


class TestAliveThroughTime:
    @pytest.mark.parametrize("model", MODELS)
    def test_each_day_knows_only_what_came_before(self, model: BgNbd | ParetoNbd) -> None:
        chart = alive_through_time(model, [103, 110, 160], 300, "customer 7")
        curve = axes_of(chart).lines[0].get_ydata()
        assert len(curve) == 198
        histories = {0: (0, 0), 6: (0, 0), 7: (1, 7), 56: (1, 7), 57: (2, 57), 197: (2, 57)}
        for day, history in histories.items():
            assert curve[day] == pytest.approx(100 * model.probability_alive(*history, day)[0])
        assert chart.title == "P(alive) of customer 7, day by day"

    def test_a_tick_for_each_purchase_day(self) -> None:
        chart = alive_through_time(PARETO_NBD, [3, 3.4, 10, NAN, 60, 500], 200)
        (ticks,) = axes_of(chart).collections
        assert [segment[0, 0] for segment in ticks.get_segments()] == [0, 7, 57]
        assert plain(chart.alt) == (
            "P(alive) of one customer: 38 % on day 197; purchase days: 3; lowest on day 197 with 38 %."
        )

    def test_odd_customers(self) -> None:
        drawn(alive_through_time(PARETO_NBD, [5], 5), alive_through_time(PARETO_NBD, [5, 6], 6.5))

    @pytest.mark.parametrize("days", [[], [NAN], [9]])
    def test_needs_a_purchase(self, days: list[float]) -> None:
        with pytest.raises(ValueError, match="there is none"):
            alive_through_time(PARETO_NBD, days, 8)


class TestWeekly:
    def test_lines(self) -> None:
        chart = weekly(np.arange(10), 8)
        assert labels(chart) == ["Expected", "Actual", "Known until"]
        expected, actual, known = axes_of(chart).lines
        assert list(expected.get_ydata()) == [8] * 10
        assert list(actual.get_ydata()) == list(range(10))
        assert list(known.get_xdata()) == [17203, 17203]  # days since 1970
        assert chart.alt == (
            "Purchases of all weeks: expected 40 until 6 Feb 2017, 40 after it; actual 10 until 6 Feb 2017, 35 after it"
        )

    def test_sums(self) -> None:
        chart = weekly([1, 2, NAN, *[3] * 7], 8, currency="EUR", cumulative=True)
        expected, actual, _ = axes_of(chart).lines
        assert list(expected.get_ydata()) == list(range(8, 81, 8))
        assert list(actual.get_ydata()[:2]) == [1, 3]
        assert np.isnan(actual.get_ydata()[2:]).all()
        assert chart.alt.startswith("Spend of all weeks, EUR: expected 40 until 6 Feb 2017")

    def test_days_are_those_of_a_time_zone(self) -> None:
        assert axes_of(weekly(zone="Europe/Paris")).get_xlabel() == "Week that starts on (Europe/Paris)"

    def test_few_dates_under_it(self) -> None:
        ticks = axes_of(weekly()).get_xticklabels()
        assert [tick.get_text() for tick in ticks] == ["9 Jan 2017", "6 Feb 2017", "27 Feb 2017"]

    @pytest.mark.parametrize("cumulative", [False, True])
    def test_odd_weeks(self, cumulative: bool) -> None:
        for actual, expected, weeks in (
            (-5, 3, WEEKS),
            (NAN, NAN, WEEKS),
            (0, 0, WEEKS),
            (3, 2, WEEKS[:1]),
            (3, NAN, WEEKS[8:]),
        ):
            drawn(weekly(actual, expected, weeks, cumulative=cumulative))
        assert "actual – until 6 Feb 2017" in weekly(NAN, cumulative=cumulative).alt
        assert axes_of(weekly(-5, 3, cumulative=cumulative)).get_ylim()[0] < -5


class TestCohorts:
    def test_each_line_is_named_at_its_end(self) -> None:
        curves = cohorts(8)
        axes = axes_of(cohort_curves(curves, "EUR", FEBRUARY))
        names = [line.get_label() for line in axes.lines if not str(line.get_label()).startswith("_")]
        assert names == list(curves)
        assert {text.get_text(): text.xy[1] for text in axes.texts} == {
            name: spend[-1] for name, spend in curves.items()
        }
        looks = {(line.get_color(), line.get_linewidth()) for line in axes.lines if line.get_label() in curves}
        assert len(looks) == 8

    def test_names_do_not_overlap(self) -> None:
        alike = {f"Cohort {i}": np.array([10.0, 20 + i / 100]) for i in range(8)}
        axes = axes_of(cohort_curves(alike, "EUR", FEBRUARY))
        heights = np.array([text.get_position()[1] for text in axes.texts])
        assert (np.diff(heights) >= 0.0749).all()
        assert heights.min() >= 0
        assert heights.max() <= 1

    def test_names_that_do_not_overlap_stay(self) -> None:
        axes = axes_of(cohort_curves({"a": np.array([0, 10.0]), "b": np.array([0, 90.0])}, "EUR", FEBRUARY))
        top = axes.get_ylim()[1]
        assert [text.get_position()[1] for text in axes.texts] == pytest.approx([10 / top, 90 / top])

    def test_a_line_ends_where_nothing_is_known(self) -> None:
        chart = cohort_curves({"a": np.array([10, 20, NAN]), "b": np.array([NAN, NAN])}, "EUR", FEBRUARY)
        assert chart.alt == "Spend per customer in EUR, by cohort: a 20 by month 1"
        assert [text.get_text() for text in axes_of(chart).texts] == ["a"]
        drawn(chart)

    def test_odd_cohorts(self) -> None:
        drawn(
            cohort_curves({"$one$ of _": np.array([5.0])}, "EUR", FEBRUARY),
            cohort_curves({"returns": np.array([5, -20, -30.0])}, "EUR", FEBRUARY),
            cohort_curves({}, "EUR", FEBRUARY),
        )

    def test_not_more_than_can_be_told_apart(self) -> None:
        with pytest.raises(ValueError, match="9 cohorts"):
            cohort_curves(cohorts(9), "EUR", FEBRUARY)


class TestLorenz:
    def test_lines(self) -> None:
        chart = lorenz([1, 3, 2, 4], [10, 20, 30, 40])
        named = [name for name in labels(chart) if not str(name).startswith("_")]
        assert named == ["Model", "Carry-forward", "Actual", "By chance"]
        lines = {line.get_label(): line for line in axes_of(chart).lines}
        assert list(lines["Model"].get_ydata()) == pytest.approx([0, 40, 60, 90, 100])
        assert list(lines["Actual"].get_ydata()) == pytest.approx([0, 40, 70, 90, 100])
        assert list(lines["By chance"].get_ydata()) == [0, 100]
        assert plain(chart.alt) == (
            "Share of all spend that the first tenth of customers has: Model 16 %, Carry-forward 10 %, Actual 16 %, by "
            "chance 10 %"
        )

    def test_returns_lift_a_curve_above_all(self) -> None:
        chart = lorenz([4, 3, 2, 1], [40, 30, 50, -20])
        assert max(axes_of(chart).lines[0].get_ydata()) == pytest.approx(120)
        assert axes_of(chart).get_ylim()[1] > 120

    def test_odd_customers(self) -> None:
        drawn(lorenz([1], [5]), lorenz([1, 2], [5, NAN]), lorenz([1, 2], [-5, -1]), lorenz_chart({}, FEBRUARY))

    def test_not_more_than_there_are_styles(self) -> None:
        straight = np.array([0.0, 1.0])
        with pytest.raises(ValueError, match="zip"):
            lorenz_chart({str(i): (straight, straight) for i in range(5)}, FEBRUARY)


def shade(chart: Chart, frequency: float, recency: float) -> float:
    """Opacity of the mark at a history; NaN where there is none."""
    for bar in axes_of(chart).patches:
        (left, low), (right, high) = bar.get_bbox().get_points()
        if left < frequency < right and low < recency < high:
            assert to_hex(bar.get_facecolor()) == "#2b50c8"
            return bar.get_facecolor()[3]
    return NAN
