"""The challenger in the shadow: what is compared, what is dropped, and what the report says of it."""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from foresight.shadow_report import agreement, agreement_lines
from kernel.types import Band
from serving import shadow
from serving.challenger import Challenger
from serving.insights import Insight, ModelVersions
from serving.live_metrics import live_metrics
from serving.shadow import Shadow
from serving.shadow_log import ShadowLog, ShadowScore
from tests.doubles.insights import AS_OF, SCORED, InsightDouble

AT = datetime(2017, 11, 2, 9, tzinfo=UTC)
CHAMPIONS = ModelVersions("churn/1", "value/1", "policy/1")
PAIR = ShadowScore("1", AS_OF, "churn/1 value/1", "churn/2 value/1", AT, 0.2, 0.3, "low", "medium", 100.0, 90.0)


@pytest.fixture
def log(tmp_path: Path) -> ShadowLog:
    return ShadowLog(f"sqlite:///{tmp_path / 'decisions.db'}", "shop")


class Other(InsightDouble):
    """A challenger that says something else, once it may."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.asked = 0

    def by_ids(self, customer_ids: Sequence[str]) -> list[Insight]:
        self.asked += 1
        self.may.wait(10)
        found = super().by_ids(customer_ids)
        return [replace(one, score=replace(one.score, churn_probability=0.5, churn_band=Band.HIGH)) for one in found]


def dropped() -> float:
    return live_metrics().registry.get_sample_value("foresight_shadow_dropped_total") or 0.0


def offer(to: Shadow, other: Other, names: Sequence[str]) -> None:
    to.offer(other, CHAMPIONS, InsightDouble().by_ids(names), lambda source: source.by_ids(names))


def test_what_both_say_is_kept_once(log: ShadowLog) -> None:
    compared = Shadow(log)
    compared.start()
    other = Other()
    other.may.set()
    for _ in range(2):
        offer(compared, other, ["1609"])
    compared.stop()
    [row] = log.read().itertuples(index=False)
    assert (row.customer_id, row.champions, row.challengers) == ("1609", "churn/1 value/1", "churn:3 value:2")
    assert (row.churn_probability, row.churn_probability_challenger) == (SCORED.churn_probability, 0.5)
    assert (row.churn_band, row.churn_band_challenger) == ("medium", "high")
    assert row.lifetime_value == row.lifetime_value_challenger == SCORED.lifetime_value
    assert row.as_of == AS_OF
    log.close()


def test_a_busy_challenger_is_not_waited_for(log: ShadowLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow, "_WAITING", 3)
    before, other = dropped(), Other()
    compared = Shadow(log)
    for _ in range(5):
        offer(compared, other, ["1609", "2"])
    assert dropped() == before + 2 * 2
    compared.start()
    other.may.set()
    compared.stop()
    assert other.asked == 3
    assert list(log.read()["customer_id"]) == ["1609", "2"]
    log.close()


def test_a_challenger_that_fails_is_nobodys_failure(log: ShadowLog, caplog: pytest.LogCaptureFixture) -> None:
    before, compared = dropped(), Shadow(log)
    compared.start()
    broken: Any = SimpleNamespace(versions=InsightDouble().versions, by_ids=InsightDouble().by_ids)
    insights = InsightDouble().by_ids(["1609"])
    compared.offer(broken, CHAMPIONS, insights, lambda source: source.by_ids([InsightDouble.broken_id]))
    compared.stop()
    assert dropped() == before + 1
    assert "the challenger failed in the shadow: ValueError" in caplog.text
    assert "secret attribute" not in caplog.text
    assert log.read().empty


def test_the_canary_takes_its_share_and_always_the_same() -> None:
    ids = [f"c{number}" for number in range(20_000)]

    def taken(share: float, model: str) -> set[str]:
        challenger = Challenger.of(InsightDouble(), [model], share, None)
        return {name for name in ids if challenger.takes(name)}

    few, more = taken(0.05, "churn/2"), taken(0.2, "churn/2")
    assert 0.045 < len(few) / len(ids) < 0.055
    assert 0.19 < len(more) / len(ids) < 0.21
    assert few < more
    assert few == taken(0.05, "churn/2")
    assert len(few & taken(0.05, "churn/3")) < 0.1 * len(few)  # another challenger, other customers: 5 % by chance
    assert (taken(0.0, "churn/2"), taken(1.0, "churn/2")) == (set(), set(ids))


def test_agreement_in_figures() -> None:
    rows = [
        PAIR,
        replace(PAIR, customer_id="2", churn_probability=0.4, churn_probability_challenger=0.4, churn_band="medium"),
        replace(PAIR, customer_id="3", churn_probability=0.6, churn_probability_challenger=0.9, churn_band="high"),
        replace(PAIR, customer_id="4", churn_probability=None, churn_probability_challenger=None, churn_band=None),
        replace(PAIR, customer_id="5", challengers="churn/0 value/1", scored_at=datetime(2017, 10, 1, tzinfo=UTC)),
    ]
    frame = pd.DataFrame(rows).sort_values("scored_at")
    found = agreement(frame)
    assert found is not None
    assert (found.customers, found.challengers, found.since) == (4, "churn/2 value/1", AT)
    churn, value = found.numbers["churn_probability"], found.numbers["lifetime_value"]
    assert (churn.customers, churn.mean, churn.rank_correlation) == (3, pytest.approx(0.4 / 3), pytest.approx(1.0))
    assert churn.quantiles[2] == pytest.approx(0.1)
    assert (value.customers, value.mean, value.rank_correlation) == (4, -10.0, None)
    assert found.moves == {
        (Band.LOW, Band.MEDIUM): 1,
        (Band.MEDIUM, Band.MEDIUM): 1,
        (Band.HIGH, Band.MEDIUM): 1,
    }
    assert found.changed_share == pytest.approx(2 / 3)
    console = Console(width=120, record=True, file=io.StringIO())
    for line in agreement_lines(found, "USD"):
        console.print(line)
    text = console.export_text()
    assert "churn/2 value/1 beside churn/1 value/1: 4 customers" in text
    assert "66.7% of 3 customers would be in another churn band:" in text


def test_nothing_was_compared(log: ShadowLog) -> None:
    assert agreement(log.read()) is None
    [line] = agreement_lines(None, "USD")
    assert str(line).startswith("Nothing was compared yet")
