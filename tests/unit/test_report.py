"""The report page, its charts and its figures: exact numbers, plain sentences, nothing of a user's text as markup."""

from __future__ import annotations

import dataclasses
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest

from features.contract.findings import Finding, State
from kernel.settings import Settings
from tests.projects import TABLES, TinyProject
from tests.reports import HOSTILE, JULY, NOVEMBER, SECTIONS, SEPTEMBER, page, result
from training.backtest import BacktestResult
from training.evaluation.calibration import calibration_metrics, reliability
from training.evaluation.discrimination import (
    found_in_top,
    gains_curve,
)
from training.evaluation.plots import (
    auc_over_time_chart,
    backtest_charts,
    error_over_time_chart,
    error_ratio,
    reliability_chart,
    rhythm_chart,
    write_plots,
)
from training.evaluation.report import PublishedFigure, summary_rows
from training.evaluation.statements import (
    churn_sentences,
    profit_sentences,
    rate_coverage,
    reach,
    rhythm_sentence,
    thin_evidence,
    value_sentences,
)
from training.evaluation.words import label, listed, money, percent
from training.labels.rhythm import Rhythm


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return TinyProject(tmp_path).settings(TABLES + SECTIONS)


class Reader(HTMLParser):
    """Text, tags, identifiers and links of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.rows: list[list[str]] = []
        self.words: list[str] = []
        self.in_cell = False
        self.feed(html)
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td") and self.rows:
            self.rows[-1].append("")
            self.in_cell = True

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self.in_cell:
            self.rows[-1][-1] += data.strip()

    def handle_endtag(self, tag: str) -> None:
        self.in_cell = self.in_cell and tag not in ("th", "td")


class TestGains:
    def test_gives_ties_their_mean(self) -> None:
        taken, found = gains_curve(np.array([2.0, 1.0, 1.0, 0.0]), np.array([0.0, 1.0, 0.0, 1.0]))
        assert taken.tolist() == [0, 0.25, 0.75, 1]
        assert found.tolist() == [0, 0, 0.5, 1]
        assert found_in_top(np.array([2.0, 1.0, 1.0, 0.0]), np.array([0.0, 1.0, 0.0, 1.0]), 2) == 0.5

    def test_needs_an_outcome(self) -> None:
        with pytest.raises(ValueError, match="at least one outcome"):
            gains_curve(np.array([1.0, 2.0]), np.zeros(2))
        assert found_in_top(np.array([1.0, 2.0]), np.zeros(2), 1) == 0

    def test_reach_of_a_team(self) -> None:
        # All 50 at the top are among the first 100; the rule has 50 of its 500 at 40 days, of whom a fifth is taken.
        found = reach(result())
        assert (found.customers, found.left) == (100, 100)
        assert (found.model, found.recency_rule, found.chance) == pytest.approx((50, 10, 10))
        assert reach(result(customers=400, left=20)).customers == 40


class TestSummary:
    def test_means_over_dates_in_order(self) -> None:
        rows = summary_rows([result(), result(SEPTEMBER, left=60)])
        assert [(row.subject, row.name, row.is_baseline, row.dates) for row in rows] == [
            ("churn", "model", False, 2),
            ("churn", "logistic_regression", True, 2),
            ("churn", "recency_rule", True, 2),
            ("value", "trees", False, 2),
            ("value", "btyd", False, 2),
            ("value", "carry_forward", True, 2),
        ]
        assert rows[0].means["base_rate"] == pytest.approx(0.08)
        assert set(rows[2].means) == {
            "auc", "average_precision", "lift_top_twentieth", "lift_top_tenth", "lift_top_fifth",
        }  # fmt: skip

    def test_leaves_out_what_no_date_has(self) -> None:
        one = result()
        silent = dataclasses.replace(one, value={"trees": {"mae": 3.0, "total_ratio": float("nan")}})
        assert summary_rows([silent])[-1].means == {"mae": 3.0}
        both = summary_rows([one, silent])
        assert (
            next(row for row in both if row.name == "trees").means["total_ratio"] == one.value["trees"]["total_ratio"]
        )
        assert summary_rows([]) == []


class TestStatements:
    def test_churn(self, settings: Settings) -> None:
        first, second, third = churn_sentences(result(), settings)
        assert first == (
            "Of the 100 customers with the highest churn risk on 1 Nov 2017, 50 left within 56 days; the recency rule "
            "found 10, chance would find 10."
        )
        assert plain(second) == "The model expected 16 % of the 1,000 customers to leave; 10 % did (100 customers)."
        # The rule flags the 500 of 40 days, half of those who left; so do the first 500 of the model.
        assert plain(third).startswith("Grade C (")
        assert plain(third).endswith(
            'Of those who left, it flags 50 %; "no purchase in the last 28 days" 50 % with as many flags.'
        )

    def test_profit(self, tmp_path: Path) -> None:
        costs = "[churn.retention]\ncontact_cost = 2\nkept_value = 60\nsuccess_rate = 0.1\n"
        first, second = profit_sentences(result(), TinyProject(tmp_path).settings(TABLES + SECTIONS + costs))
        # 50 of the first 100 would have left: 50 x .1 x 60 - 200; the rule's first 100 hold the 25 of the top and none.
        assert plain(first).startswith(
            "100 contacts by the model's ranking on 1 Nov 2017 would have brought 100 EUR, by the recency rule "
        )
        assert plain(first).endswith(
            "if a contact costs 2.00 EUR and keeps 10 % of those who would have left, each worth 60.00 EUR."
        )
        assert "By its probabilities, contacting" in second
        # A contact is worth its cost from a probability of one third on: nobody has that.
        assert "contacting 0 customers pays best: that would have brought 0.00 EUR." in plain(second)

    def test_without_costs_nothing_is_said_of_profit(self, settings: Settings) -> None:
        assert profit_sentences(result(), settings) == []

    def test_rate_coverage(self) -> None:
        assert plain(rate_coverage([result(), result()])) == (
            "The 90 % intervals held the churn rate of 89 % of 18 groups of 100 similar customers: 100 % at low, 67 % "
            "at middle and 100 % at high risk."
        )
        assert rate_coverage([dataclasses.replace(result(), rate_held=np.empty(0))]) == ""

    def test_value(self, settings: Settings) -> None:
        total, error, grade = map(plain, value_sentences(result(), settings))
        assert total == (
            "Expected total spend in the 56 days after 1 Nov 2017 was 101 % of the actual: 90,500 EUR expected, "
            "90,000 EUR spent."
        )
        assert error.startswith("For one customer the model missed by 17.60 EUR on average, BTYD by ")
        assert " and carrying the past forward by " in error
        assert re.match(r"Grade [ABC] \(.* of resampled customers\)\. Of the 200 customers who spent most, ", grade)

    def test_nobody_left(self, settings: Settings) -> None:
        assert churn_sentences(constant(0), settings) == [
            "None of the 1,000 customers left in the 56 days after 1 Nov 2017."
        ]

    def test_thin_evidence_is_said(self, settings: Settings) -> None:
        few = dataclasses.replace(result(customers=300, left=20), interval_coverage=0.8)
        notes = [plain(note) for note in thin_evidence([few], settings)]
        assert "Only one date was looked at (1 Nov 2017); other seasons may differ." in notes
        assert "1 Nov 2017: only 300 customers were in the test cohort." in notes
        assert "1 Nov 2017: only 20 customers left, so churn figures move a lot by chance." in notes
        assert "1 Nov 2017: 90 % intervals of spend held 80 %: too narrow." in notes
        assert any("not shown that the churn model ranks better than the recency rule" in note for note in notes)
        assert any(note.startswith("1 Nov 2017: the AUC may lie anywhere from 0.") for note in notes)

    @pytest.mark.parametrize(("alive", "said"), [(0.995, True), (0.6, False)])
    def test_p_alive_that_tells_nobody_apart(self, settings: Settings, alive: float, said: bool) -> None:
        sure = SimpleNamespace(probability_alive=lambda features: np.full(len(features), alive))
        beside = dataclasses.replace(result(), value_model=sure, churn=result().churn | {"p_alive": {"auc": 0.7}})
        told = "1 Nov 2017: P(alive) is above 99 % for 100 % of the customers."
        assert any(plain(note).startswith(told) for note in thin_evidence([beside], settings)) == said

    def test_dates_that_share_outcomes(self, settings: Settings) -> None:
        october = datetime(2017, 10, 1, tzinfo=UTC)
        shared = "Some dates lie less than 56 days apart: they share outcomes and are no independent evidence."
        assert shared in thin_evidence([result(), result(october)], settings)
        assert shared not in thin_evidence([result(), result(SEPTEMBER)], settings)

    def test_nothing_to_say_against_a_good_model(self, settings: Settings) -> None:
        good = [sound(result(date)) for date in (JULY, SEPTEMBER, NOVEMBER)]
        assert thin_evidence(good, settings) == []
        assert "No thin evidence was found" in page(settings, *good)
        assert thin_evidence(good[1:], settings) == [
            "Only 2 dates were looked at (1 Sep 2017 and 1 Nov 2017); other seasons may differ."
        ]

    @pytest.mark.parametrize(("left", "who"), [(0, "nobody"), (1000, "everybody")])
    def test_one_outcome_only(self, settings: Settings, left: int, who: str) -> None:
        assert f"1 Nov 2017: {who} left, so no ranking can be judged." in thin_evidence([constant(left)], settings)
        assert f"1 Nov 2017: {who} left, so no ranking can be judged." in Reader(page(settings, constant(left))).text


class TestCharts:
    def test_files(self, tmp_path: Path) -> None:
        files = write_plots(result(), tmp_path, "EUR")
        assert [file.name for file in files] == ["reliability.png", "gains.png", "value_tenths.png"]
        assert {file.read_bytes()[:8] for file in files} == {b"\x89PNG\r\n\x1a\n"}
        assert [file.name for file in write_plots(constant(0), tmp_path, "EUR")] == [
            "reliability.png",
            "value_tenths.png",
        ]

    def test_same_result_same_bytes(self, tmp_path: Path) -> None:
        for one, other in zip(backtest_charts(result(), "EUR"), backtest_charts(result(), "EUR"), strict=True):
            assert one.png() == other.png()
            assert ElementTree.tostring(one.svg()) == ElementTree.tostring(other.svg())

    def test_axes_carry_units_and_titles_carry_dates(self) -> None:
        charts = backtest_charts(result(), "EUR")
        assert [(chart.title, *(axes.get_xlabel() for axes in chart.figure.axes)) for chart in charts] == [
            ("Predicted and actual churn, 1 Nov 2017", "Predicted churn, %"),
            ("Who left and was found, 1 Nov 2017", "Customers contacted, highest risk first, %"),
            ("Expected and actual spend, 1 Nov 2017", "Tenth of customers, highest expected first"),
        ]
        assert charts[2].figure.axes[0].get_ylabel() == "Mean spend per customer, EUR"

    def test_reliability_draws_wilson(self) -> None:
        chart = reliability_chart(result())
        (points,) = chart.figure.axes[0].containers
        middle = points.lines[2][0].get_segments()[4]
        # None of 100 left: Wilson's upper bound is z^2 / (n + z^2) with z = 1.6449.
        assert middle[:, 1] == pytest.approx([0, 100 * 2.705543454 / 102.705543454])

    def test_value_bars_are_means_of_tenths(self) -> None:
        (axes,) = backtest_charts(result(), "EUR")[2].figure.axes
        # Expectation rises with the place: the first and the last tenth hold 50 customers each who left.
        assert [bar.get_height() for bar in axes.patches] == [50, *[100] * 8, 50]
        (expected,) = [line for line in axes.lines if line.get_label() == "Expected"]
        assert expected.get_ydata()[[0, -1]] == pytest.approx([90.9495, 90.0495])
        # Ninety-five per cent of the mean of 50 times 100 and 50 times 0.
        (bars,) = axes.collections
        half = 1.959963984540054 * np.std([0, 100] * 50, ddof=1) / 10
        assert bars.get_segments()[0][:, 1] == pytest.approx([50 - half, 50 + half])

    def test_words_for_those_who_do_not_see(self) -> None:
        chart = auc_over_time_chart([result(SEPTEMBER), result()])
        assert chart.svg().get("role") == "img"
        assert chart.svg().get("aria-label") == chart.alt
        assert chart.alt.startswith("AUC: 1 Sep 2017 Model 0.500, Logistic regression 0.500, Recency rule 0.500; 1 Nov")

    def test_every_baseline_has_a_line_of_its_own(self) -> None:
        one = result()
        more = dataclasses.replace(one, churn=one.churn | {"p_alive": one.churn["recency_rule"]})
        (axes,) = auc_over_time_chart([more, more]).figure.axes
        assert [line.get_label() for line in axes.lines] == [label(name) for name in more.churn]
        drawn = [(line.get_color(), line.get_marker(), line.get_linestyle()) for line in axes.lines]
        assert len({color for color, _, _ in drawn}) == len({marker for _, marker, _ in drawn}) == 4
        crowded = dataclasses.replace(more, churn=more.churn | {"another": one.churn["recency_rule"]})
        with pytest.raises(ValueError, match="zip"):
            auc_over_time_chart([crowded, crowded])

    def test_rhythm(self) -> None:
        rhythm = Rhythm(NOVEMBER, np.array([7.0, 30.0, 63.0, 90.0]), np.array([0.4, 0.8, 0.92, 1.0]), 63, 1200)
        chart = rhythm_chart(rhythm, 56)
        assert chart.title == "When customers come back, 1 Nov 2017"
        assert plain(chart.alt) == ("Of all returns, 80 % come within the horizon of 56 days; 90 % within 63 days.")
        curve, horizon, chosen = chart.figure.axes[0].lines
        assert list(curve.get_ydata()) == [40, 80, 92, 100]
        assert (list(horizon.get_xdata()), list(chosen.get_xdata())) == ([56, 56], [63, 63])
        assert plain(rhythm_sentence(rhythm, 56)) == (
            "After 56 days of silence 80 % of the returns have come that ever come; after 63 days 90 % have: that is "
            "the horizon the data would choose, by 1,200 returns until 1 Nov 2017."
        )

    def test_error_ratio(self) -> None:
        one = result()
        assert error_ratio(one, "carry_forward") == 1
        assert error_ratio(one, "trees") == one.value["trees"]["mae"] / one.value["carry_forward"]["mae"]
        still = dataclasses.replace(one, value={**one.value, "carry_forward": {"mae": 0.0}})
        assert np.isnan(error_ratio(still, "trees"))

    def test_lines_over_time(self) -> None:
        chart = error_over_time_chart([result(SEPTEMBER), result()])
        assert chart.title == "Error of expected spend, 1 Sep 2017 to 1 Nov 2017"
        lines = {line.get_label(): line.get_ydata() for line in chart.figure.axes[0].lines}
        assert lines["Trees over BTYD"] == pytest.approx([100 * error_ratio(result(), "trees")] * 2)
        assert list(lines["Carry-forward = 100 %"]) == [100, 100]


class TestPage:
    def test_stands_alone(self, settings: Settings) -> None:
        html = page(settings, result(SEPTEMBER), result())
        reader = Reader(html)
        assert {"script", "link", "img", "iframe", "object", "image"}.isdisjoint(reader.tags)
        assert "//" not in html
        targets = [value for name, value in reader.attributes if name in ("href", "src", "xlink:href")]
        assert targets
        assert all(target.startswith("#") for target in targets)
        assert "@import" not in html
        assert set(re.findall(r"url\((.)", html)) == {"#"}

    def test_identifiers_are_unique_and_point_somewhere(self, settings: Settings) -> None:
        reader = Reader(page(settings, result(SEPTEMBER), result()))
        identifiers = [value for name, value in reader.attributes if name == "id"]
        assert len(identifiers) == len(set(identifiers))
        assert {value[1:] for name, value in reader.attributes if name == "href"} <= set(identifiers)

    def test_every_model_stands_beside_its_baselines_at_every_date(self, settings: Settings) -> None:
        rows = [row[0] for row in Reader(page(settings, result(), result(SEPTEMBER))).rows if row]
        churn = ["Model", "Logistic regressionbaseline", "Recency rulebaseline"]
        value = ["Trees over BTYD", "BTYDalternative", "Carry-forwardbaseline"]
        groups = [
            "Mean of 2 dates",
            "1 Sep 2017 · 1,000 customers, 10 % left",
            "1 Nov 2017 · 1,000 customers, 10 % left",
        ]
        spent = [groups[0], *(f"{date} 2017 · 1,000 customers, 90,000 EUR spent" for date in ("1 Sep", "1 Nov"))]
        plain_rows = [plain(row) for row in rows]
        start = plain_rows.index("Mean of 2 dates")
        assert plain_rows[start : start + 12] == [row for group in groups for row in (group, *churn)]
        assert plain_rows[start + 13 : start + 25] == [row for group in spent for row in (group, *value)]

    def test_figures_carry_units(self, settings: Settings) -> None:
        rows = [[plain(cell) for cell in row] for row in Reader(page(settings, result())).rows]
        assert ["1 Nov 2017", "1,000", "100", "100", "50", "10", "10"] in rows
        model = next(row for row in rows if row[0] == "Trees over BTYD")
        assert model[1] == "17.60 EUR"
        assert model[5] == "101 %"

    def test_grades_and_who_was_missed(self, settings: Settings) -> None:
        rows = [[plain(cell) for cell in row] for row in Reader(page(settings, result())).rows]
        grade, _ = [row for row in rows if row[:2] == ["1 Nov 2017", "C"]]  # of churn, and of the lifetime value
        assert grade[-1] == "no purchase in the last 28 days"
        assert ["Left, among the first 100", "50", "29 %", "25", "3", "144 EUR"] in rows
        assert ["Stayed", "900", "16 %", "25", "3", "620 EUR"] in rows

    def test_says_what_for_whom_and_when(self, settings: Settings) -> None:
        text = Reader(page(settings, result(SEPTEMBER), result())).text
        assert "customers with a purchase in the 56 days before" in text
        assert "Looked back from 1 Sep 2017 and 1 Nov 2017" in text
        assert "Made 2 Jan 2018, 03:04 UTC · data up to 1 Nov 2017, 00:00 UTC · models churn/3, value/2" in text
        assert "90 % intervals of one customer held the actual spend of 90 % of customers on 1 Sep 2017 and" in plain(
            text
        )

    def test_without_a_back_test(self, settings: Settings) -> None:
        reader = Reader(page(settings, models={}))
        assert "No back-test was possible: the quality of the models is not known." in reader.text
        assert "none in use yet" in reader.text
        assert {"table", "svg"}.isdisjoint(reader.tags)

    def test_findings(self, settings: Settings) -> None:
        finding = Finding("C1", "Lines left out", "read", State.WARNING, "transactions", "amount", "No id.", "0", "12")
        text = Reader(page(settings, result(), findings=[finding])).text
        assert "warning Lines left out No id. transactions.amount · Actual: 12, required: 0 · C1" in text
        assert "Nothing was found to be wrong or thin." in Reader(page(settings, result())).text

    def test_published_figures(self, settings: Settings) -> None:
        figures = [
            PublishedFigure("MAE", "A paper, 2005", 117.26, 120.2, "EUR"),
            PublishedFigure("AUC", "B", 0.87, 0.862),
        ]
        rows = [[plain(cell) for cell in row] for row in Reader(page(settings, result(), published=figures)).rows]
        assert ["MAE", "117.3 EUR", "120.2 EUR", "A paper, 2005"] in rows
        assert ["AUC", "0.87", "0.862", "B"] in rows

    def test_nothing_given_is_markup(self, settings: Settings) -> None:
        finding = Finding(*[HOSTILE] * 3, State.ERROR, *[HOSTILE] * 5)
        html = page(
            settings,
            result(),
            findings=[finding],
            models={HOSTILE: HOSTILE},
            published=[PublishedFigure(HOSTILE, HOSTILE, 1, 2, HOSTILE)],
        )
        assert "<script" not in html
        assert html.count("</style>") == 1
        assert Reader(html).text.count(HOSTILE) == 13


def sound(one: BacktestResult) -> BacktestResult:
    """The same customers with a model that ranks all but ten of those who left first."""
    order = np.where(one.churned > 0, 0.5, 0.02) + np.linspace(0, 0.01, one.customers)
    probability = np.where(np.arange(one.customers) % 100 == 0, 0.52 - order, order)
    best = {**one.value, "trees": {"mae": 1.0, "spearman": 1.0, "gini": 1.0, "total_ratio": 1.01}}
    return dataclasses.replace(one, probability=probability, value=best)


def constant(left: int) -> BacktestResult:
    """A date at which all or none of 1,000 customers left."""
    one = result(left=100)
    churned = np.full(1000, float(left > 0))
    spend = 100 * (1 - churned)
    calibration = calibration_metrics(one.probability, churned)
    total = 1.1 if not left else float("nan")
    return dataclasses.replace(
        one,
        churned=churned,
        spend=spend,
        churn={"model": calibration, "logistic_regression": calibration, "recency_rule": {}},
        value={name: {**metrics, "total_ratio": total} for name, metrics in one.value.items()},
        reliability=reliability(one.probability, churned),
    )


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_words() -> None:
    assert [plain(percent(share)) for share in (0.0524, 0.314, 1.02, float("nan"))] == ["5.2 %", "31 %", "102 %", "–"]
    assert [plain(money(amount, "EUR")) for amount in (1234.5, 12.345, -3.0)] == ["1,234 EUR", "12.35 EUR", "-3.00 EUR"]
    assert [listed(words) for words in (["a"], ["a", "b"], ["a", "b", "c"], [])] == ["a", "a and b", "a, b and c", ""]
