"""What the report says of lifetime value: grades, orders, purchases by week, cohorts, and what the models suppose."""

from __future__ import annotations

import dataclasses
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import ArrayLike

from foresight.project import Project
from foresight.reporting import write_report
from kernel.artefacts import OrderValues
from kernel.purchases import PurchaseParameters
from kernel.settings import Settings
from tests.doubles.models import value_predictor
from tests.projects import TABLES, TinyProject
from tests.reports import NOVEMBER, SECTIONS, SEPTEMBER, page, result
from training.backtest import BacktestResult
from training.evaluation.discrimination import Interval
from training.evaluation.plots import Chart, value_chart
from training.evaluation.segments import SegmentCoverage
from training.evaluation.statements import (
    family_sentence,
    order_value_sentence,
    segment_sentence,
    tracking_sentence,
)
from training.evaluation.tracking import Tracking
from training.evaluation.value_grade import ValueGrade
from training.labels.buying import Cohort, WeeklyPurchases

WEEKS = pd.date_range("2017-10-11", periods=5, freq="7D", tz="UTC")
FIRSTS = np.where(np.arange(35) < 7, 10.0, 0.0)
PURCHASES = WeeklyPurchases(NOVEMBER, WEEKS, np.array([0.0, 4, 3, 2, 1]), FIRSTS)
COHORTS = [
    Cohort(date(2017, 8, 1), 1200, np.array([20.0, 30, 35])),
    Cohort(date(2017, 9, 1), 40, np.array([22.0, 31])),
]
CHARTS = [
    "Purchases per week",
    "Purchases so far",
    "P(alive), ",
    "Purchases expected",
    "Spend since the first purchase",
]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return TinyProject(tmp_path).settings(TABLES + SECTIONS)


def plain(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text).replace("\N{NO-BREAK SPACE}", " ")).replace("&quot;", '"')


def section(html: str) -> str:
    return html.partition("<h2>Lifetime value</h2>")[2].partition("<h2>")[0]


def with_manifest(one: BacktestResult, **update: object) -> BacktestResult:
    return dataclasses.replace(one, value_model=value_predictor(**update))


class TestGrade:
    def test_each_date_has_a_row(self, settings: Settings) -> None:
        grade = ValueGrade("A", 200, 0.715, 0.65, Interval(0.1, 0.04, 0.16, 0.9), {"A": 0.93, "B": 0.07, "C": 0.0})
        graded = dataclasses.replace(result(), value_grade=grade)
        unknown = dataclasses.replace(result(SEPTEMBER), value_grade=None)
        text = plain(section(page(settings, graded, unknown)))
        assert "Date Grade Sure Spent most Finds Formula finds More than it" in text
        assert "1 Sep 2017 – – – – – – 1 Nov 2017 A 93 % 200 72 % 65 % 10 % 4.0 % to 16 %" in text
        assert "B: 0 to 5 % more; C: fewer. Those who spent most are the first 20 % of all customers" in text

    def test_the_same_date_twice(self, settings: Settings) -> None:
        assert plain(section(page(settings, result(), result()))).count("1 Nov 2017 C ") == 2


class TestSegments:
    def test_is_said_of_the_newest_date(self, settings: Settings) -> None:
        text = plain(section(page(settings, result(SEPTEMBER), result())))
        assert text.count("intervals of totals held") == 1
        assert plain(segment_sentence(result())) in text

    def test_is_left_out_of_few_customers(self, settings: Settings) -> None:
        few = dataclasses.replace(result(), segments=SegmentCoverage({}, {}))
        assert "intervals of totals" not in page(settings, few)


class TestTenths:
    def test_the_best_come_first(self) -> None:
        chart = tenths([1, 2000], [0, 1500])
        assert chart.alt == (
            "Mean spend per customer in EUR by tenth, highest expected first: "
            "2,000 expected, 1,500 actual; 1 expected, 0 actual"
        )
        assert [bar.get_height() for bar in axes_of(chart).patches] == [1500, 0]

    def test_spend_below_zero_has_a_line_to_hang_from(self) -> None:
        axes = axes_of(tenths([5, 3], [4, -2]))
        assert list(axes.lines[-1].get_ydata()) == [0, 0]
        assert axes.get_ylim()[0] < -2

    @pytest.mark.parametrize(
        ("expected", "actual"), [([5], [4]), ([5], [-4]), ([0, 0], [0, 0]), (range(30), range(30))]
    )
    def test_odd_customers(self, expected: ArrayLike, actual: ArrayLike) -> None:
        chart = tenths(expected, actual)
        assert chart.png()[:8] == b"\x89PNG\r\n\x1a\n"


class TestOrder:
    def test_model_carry_forward_and_the_actual_order(self, settings: Settings) -> None:
        html = page(settings, result(SEPTEMBER), result())
        assert html.count('aria-label="Share of all spend that the first tenth of customers has') == 2
        # Who left is half of the model's first tenth, and one in ten of all; 100 of the 900 who spent lead the others.
        assert "has: Model 5.6 %, Carry-forward 10 %, Actual 11 %, by chance 10 %" in plain_alt(html)
        assert "Share of all spend, 1 Sep 2017" in html

    def test_nobody_spent_anything(self, settings: Settings) -> None:
        nothing = dataclasses.replace(
            result(),
            spend=np.zeros(1000),
            value={name: figures | {"total_ratio": np.nan} for name, figures in result().value.items()},
        )
        assert "has: Model –, Carry-forward –, Actual –, by chance 10 %" in plain_alt(page(settings, nothing))


class TestBuying:
    def test_charts_come_with_what_they_need(self, settings: Settings) -> None:
        without = section(page(settings, result()))
        assert not [title for title in CHARTS if f"<h3>{title}" in without]
        every = section(page(settings, result(), purchases=PURCHASES, cohorts=COHORTS))
        places = [every.index(f"<h3>{title}") for title in CHARTS]
        assert places == sorted(places)
        assert "<h3>P(alive), 200 days after the first purchase</h3>" in every
        assert "<h3>Spend since the first purchase, 1 Nov 2017</h3>" in every
        assert "Week that starts on (UTC)" in every

    def test_cohorts_are_counted_and_need_no_purchases_by_week(self, settings: Settings) -> None:
        html = section(page(settings, result(), cohorts=COHORTS))
        assert [title for title in CHARTS if f"<h3>{title}" in html] == CHARTS[4:]
        assert "Customers in the cohorts: 1,200 of Aug 2017 and 40 of Sep 2017." in html
        assert "by cohort: Aug 2017 35 by month 2; Sep 2017 31 by month 1" in html

    def test_expected_purchases_are_those_of_the_fitted_model(self, settings: Settings) -> None:
        html = page(settings, result(), purchases=PURCHASES)
        model = value_predictor().manifest.purchases.model()
        so_far = [sum(10 * model.population(last - first) for first in range(7)) for last in (20, 34)]
        known, all_of_it = (f"{figure:,.0f}" for figure in so_far)
        after = f"{so_far[1] - so_far[0]:,.0f}"
        assert float(all_of_it) > float(known) > 0
        assert f"expected {known} until 1 Nov 2017, {after} after it; actual 7 until 1 Nov 2017, 3 after it" in html
        assert f"{after} expected by the date of each first purchase alone, 3 came." in html

    def test_identifiers_are_unique(self, settings: Settings) -> None:
        html = page(settings, result(SEPTEMBER), result(), purchases=PURCHASES, cohorts=COHORTS)
        identifiers = re.findall(r'\sid="([^"]+)"', html)
        assert len(identifiers) == len(set(identifiers)) > 0

    def test_tracking_sentence(self) -> None:
        tracking = Tracking(NOVEMBER, 1234, WEEKS, np.array([9.0, 9, 9, 5, 6]), np.array([9.0, 9, 9, 6, 6.5]))
        assert plain(tracking_sentence(tracking)) == (
            "Of the 1,234 customers with a purchase before 1 Nov 2017, expected repeat purchase days in the 2 weeks "
            "after it were 114 % of the actual: 12 expected by the date of each first purchase alone, 11 came."
        )
        silent = dataclasses.replace(tracking, actual=np.zeros(5))
        assert "in the 2 weeks after it were – of the actual: 12 expected" in tracking_sentence(silent)
        assert tracking_sentence(dataclasses.replace(tracking, known_until=datetime(2018, 1, 1, tzinfo=UTC))) == ""


class TestWhatTheModelsSuppose:
    def test_family(self) -> None:
        assert family_sentence(result()) == (
            "On 1 Nov 2017 purchases are foretold by BG/NBD: of BG/NBD, MBG/NBD and Pareto/NBD it came nearest to the "
            "actual spend at earlier cut-offs. It supposes that customers leave right after a repeat purchase, or not "
            "at all."
        )
        pareto = PurchaseParameters(
            family="pareto_nbd",
            parameters={"r": 0.55, "alpha": 10.6, "s": 0.61, "beta": 11.7, "days_per_period": 7.0},
        )
        assert family_sentence(with_manifest(result(), purchases=pareto)).endswith(
            "It supposes that customers may leave at any moment."
        )

    def test_order_values_that_depend_on_the_frequency(self, settings: Settings) -> None:
        values = OrderValues(p=6.25, q=3.74, v=15.45, slope=np.log2(1.1), usual=3.2)
        often = with_manifest(result(), order_values=values)
        assert plain(order_value_sentence(often)).startswith(
            "On 1 Nov 2017 customers with twice as many purchase days spent 10 % more on each, where the model"
        )
        assert "taken to the usual frequency first (3 purchase days)" in order_value_sentence(often)
        assert order_value_sentence(often) in page(settings, often)
        less = with_manifest(result(), order_values=values.model_copy(update={"slope": -1.0}))
        assert "spent 50 % less on each" in plain(order_value_sentence(less))

    def test_order_values_that_do_not(self) -> None:
        assert order_value_sentence(result()).endswith("supposes: nothing had to be changed.")


def tenths(expected: ArrayLike, actual: ArrayLike) -> Chart:
    spent = {"expected": np.asarray(expected, dtype=float), "spend": np.asarray(actual, dtype=float)}
    return value_chart(dataclasses.replace(result(), **spent), "EUR")


def axes_of(chart: Chart) -> Any:
    return chart.figure.axes[0]


def plain_alt(html: str) -> str:
    return html.replace("\N{NO-BREAK SPACE}", " ")


def test_a_project_gives_its_purchases_and_cohorts(project: TinyProject) -> None:
    names = [f"c{i}" for i in range(20)]
    days = ["2017-09-20", "2017-10-05", "2017-11-03"]
    project.write("customers.csv", "id\n" + "\n".join(names) + "\n")
    lines = [f"{name},{name}-{day},{day} 10:00:00,5" for name in names for day in days]
    project.write("sales.csv", "id,receipt,at,paid\n" + "\n".join(lines) + "\n")
    project.settings(TABLES + SECTIONS)
    opened = Project.open(project.folder)
    with opened.profiles:
        write_report(opened, [result()], project.folder / "report.html")
        write_report(opened, [result(datetime(2017, 9, 1, tzinfo=UTC))], project.folder / "before.html")
    html = (project.folder / "report.html").read_text(encoding="utf-8")
    assert "actual 20 until 1 Nov 2017, 20 after it" in html
    assert "Customers in the cohorts: 20 of Sep 2017." in html
    assert "by cohort: Sep 2017 10 by month 1" in html
    assert "Purchases per week" not in (project.folder / "before.html").read_text(encoding="utf-8")
