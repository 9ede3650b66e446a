"""The trend of the risk over past scorings."""

from __future__ import annotations

import dataclasses

from serving.answers import AnswerContext, customer_insight
from serving.panel.trend import churn_trend
from serving.panel.words import Words
from tests.doubles.insights import PAST, SCORED, InsightDouble, insight
from tests.unit.test_panel import Reader

EN = Words.of("en")
SCORE = customer_insight(insight(SCORED), AnswerContext.of(InsightDouble()), kept=True)


def test_the_trend_speaks() -> None:
    trend = Reader(churn_trend(EN, PAST, SCORE))
    assert trend.with_attribute("aria-label") == [
        "7 scorings from 1 May 2017 to 1 Nov 2017: the risk went from 8% to 34%, lowest 8%, highest 34%."
    ]
    assert "Model changed on 1 Aug 2017 (churn:2 → churn:3)" in trend.words


def test_the_table_has_every_value_the_newest_first() -> None:
    words = Reader(churn_trend(EN, PAST, SCORE)).words
    table = words[words.index("Model") + 1 :]
    assert table[:8] == ["1 Nov 2017", "34%", "Medium risk", "churn:3", "1 Oct 2017", "22%", "Medium risk", "churn:3"]
    assert len(table) == 4 * 7


def test_the_line_goes_through_the_values_in_time() -> None:
    first = dataclasses.replace(PAST[0], churn_probability=0.25)
    trend = Reader(churn_trend(EN, [first], SCORE))
    [line] = [attributes["d"] for _, attributes in trend.tags if attributes.get("class") == "trend-line"]
    assert line == "M0.0 50.0L1000.0 31.2"


def test_scores_of_the_same_moment_or_without_a_risk_are_no_points() -> None:
    same = dataclasses.replace(PAST[0], as_of=SCORED.as_of)
    unknown = dataclasses.replace(PAST[1], churn_probability=None, churn_band=None)
    for past in ((), (same,), (unknown,)):
        assert Reader(churn_trend(EN, past, SCORE)).words == [
            "How the risk has moved",
            "This is the first score of this customer; the next ones will show here how it moves.",
        ]
