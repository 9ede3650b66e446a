"""Levels of alerts, each by its evidence; the page that shows them, and the file that the service reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foresight.monitoring_cli import monitoring_lines
from kernel.alerts import Alert, Level, Monitoring, read_alerts, write_alerts
from kernel.errors import UsageError
from kernel.monitoring_settings import MonitoringSettings
from serving.http.metrics import Metrics
from tests.doubles.insights import InsightDouble
from tests.drifting import drifted
from tests.projects import TABLES, TinyProject
from tests.unit.test_report import Reader
from training.labels.window import LabelWindow
from training.monitoring.drift import FeatureDrift, score_drift
from training.monitoring.figures import Bounded, churn_figures, value_figures
from training.monitoring.found import Cohort, Found, Watched
from training.monitoring.judge import judged
from training.monitoring.page import render_monitoring
from training.monitoring.reference import Promise, Reference
from training.monitoring.ripeness import Kind, ripeness
from training.monitoring.shape import number_shape

TRAINED, AS_OF = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 6, 1, tzinfo=UTC)
MADE = datetime(2024, 6, 1, 9, tzinfo=UTC)
SETTINGS = MonitoringSettings()
RANDOM = np.random.default_rng(1)
PROBABILITY = RANDOM.beta(1, 9, 800)
CAME = (RANDOM.random(800) < PROBABILITY).astype(float)
FIGURES = churn_figures(PROBABILITY, CAME)
SPEND = value_figures(100 * PROBABILITY, 100 * CAME)
SCORES = Reference(as_of=TRAINED, customers=800, shapes={}, importance={}, moved={}, score=number_shape(PROBABILITY))


def cohort(kind: Kind, drop: float = 0.0, observed: Bounded | None = None, days: int = 90) -> Cohort:
    assert FIGURES.auc is not None
    now = FIGURES.model_copy(update={} if observed is None else {"observed": observed})
    promised = Bounded(estimate=FIGURES.auc.estimate + drop, low=FIGURES.auc.low + drop, high=FIGURES.auc.high + drop)
    then = FIGURES.model_copy(update={"auc": promised})
    ripe = ripeness(AS_OF - timedelta(days=days), kind, f"{kind}/2", 800, LabelWindow(60), AS_OF)
    if kind == "value":
        return Cohort(ripe, SPEND, Promise(as_of=TRAINED, value=SPEND))
    return Cohort(ripe, now, Promise(as_of=TRAINED, churn=then), treated=3)


def ledgered(shift: float = 0.0) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "status": ["scored"] * 800,
            "churn_probability": np.minimum(PROBABILITY + shift, 1),
            "churn_band": ["low"] * 600 + ["medium"] * 150 + ["high"] * 50,
        }
    )


def found(features: Sequence[FeatureDrift] = (), shift: float = 0.0, cohorts: Sequence[Cohort] = ()) -> Found:
    scored = score_drift("churn", "churn/2", ledgered(shift), AS_OF - timedelta(days=1), SCORES, SETTINGS)
    waiting = ripeness(AS_OF - timedelta(days=1), "churn", "churn/2", 800, LabelWindow(60), AS_OF)
    never = ripeness(AS_OF - timedelta(days=2), "churn", "churn/1", 800, LabelWindow(60), AS_OF, "it is <gone>")
    models: dict[Kind, Watched] = {"churn": Watched("churn/2", TRAINED, 1000, 990, features)}
    ledger = [never, waiting, *(one.ripe for one in cohorts)]
    return Found("my_shop", "EUR", AS_OF, AS_OF, None, models, [scored], ledger, cohorts)


def alert(of: Found, check: str) -> Alert:
    return next(one for one in judged(of, SETTINGS, MADE).alerts if one.check == check)


class TestFeatures:
    def test_a_shift_of_much_of_the_model_is_an_alarm_that_names_it(self) -> None:
        features = [replace(one, importance=0.06) for one in drifted(5, 1000, 1000, shift=1.0)]
        one = alert(found(features), "features")
        assert one.level is Level.ALARM
        assert one.what.startswith(
            "'x0': other customers, or other data, than when the churn model was trained on 1 Jan"
        )
        assert one.low > one.threshold == 0.25

    def test_of_little_of_the_model_it_is_worth_a_look(self) -> None:
        features = [replace(one, importance=0.04) for one in drifted(5, 1000, 1000, shift=1.0)]
        assert alert(found(features), "features").level is Level.WATCH

    def test_of_what_does_not_matter_it_is_nothing(self) -> None:
        features = [replace(one, importance=0.009) for one in drifted(5, 1000, 1000, shift=1.0)]
        assert alert(found(features), "features").level is Level.OK
        assert judged(found(features), SETTINGS, MADE).psi_max == {"churn": 0.0}

    def test_a_season_and_a_lost_feed_are_told_apart(self) -> None:
        features = [replace(one, as_last_year=True) for one in drifted(5, 1000, 1000, shift=1.0)]
        assert "the season, most likely" in alert(found(features), "features").advice
        lost = features[0].now.model_copy(update={"counts": (*[1] * 10, 990)})
        features[0] = replace(features[0], now=lost)
        assert alert(found(features), "features").advice.startswith("Check the feed first: x0 was known")


class TestScores:
    def test_equal_scores_are_no_alert_and_others_are(self) -> None:
        assert alert(found(drifted(1, 200, 200)), "scores").level is Level.OK
        one = alert(found(drifted(1, 200, 200), shift=0.2), "scores")
        assert one.level is Level.ALARM
        assert "+20.0 points, 95 % interval" in one.what


class TestOutcomes:
    @pytest.mark.parametrize(
        ("low", "high", "level"),
        [
            (0.9, 1.3, Level.OK),
            (1.1, 1.3, Level.OK),
            (1.13, 2.0, Level.WATCH),
            (1.26, 2.0, Level.ALARM),
            (0.5, 0.88, Level.WATCH),
            (0.5, 0.79, Level.ALARM),
        ],
    )
    def test_the_whole_interval_must_lie_beyond(self, low: float, high: float, level: Level) -> None:
        observed = Bounded(estimate=(low + high) / 2, low=low, high=high)
        one = alert(found(cohorts=[cohort("churn", observed=observed)]), "calibration")
        assert one.level is level
        assert bool(one.advice) is (level is not Level.OK)

    @pytest.mark.parametrize(("drop", "level"), [(0.0, Level.OK), (0.05, Level.OK), (0.3, Level.ALARM)])
    def test_a_drop_of_the_auc_counts_when_it_is_sure(self, drop: float, level: Level) -> None:
        one = alert(found(cohorts=[cohort("churn", drop)]), "ranking")
        assert one.level is level
        assert one.estimate == pytest.approx(drop)

    def test_the_newest_moment_counts(self) -> None:
        one = alert(found(cohorts=[cohort("churn", 0.3, days=120), cohort("churn", 0.0, days=90)]), "ranking")
        assert (one.level, "3 Mar 2024" in one.what) == (Level.OK, True)

    def test_what_is_not_ripe_is_said_with_the_day(self) -> None:
        said = judged(found(), SETTINGS, MADE).not_judged
        assert said == (
            "Features of the churn model: what it was trained on is not known; train again with this version.",
            "Outcomes of the churn model: none is known yet; the first scores that are kept are ripe on 30 Jul 2024.",
        )


@pytest.fixture(scope="module")
def shown() -> Found:
    features = [replace(one, importance=0.06) for one in drifted(5, 1000, 1000, shift=1.0)]
    return found(features, cohorts=[cohort("churn", 0.3, days=120), cohort("churn", 0.1)])


def test_the_page_says_the_verdict_figures_and_dates_and_is_escaped(shown: Found, tmp_path: Path) -> None:
    settings = TinyProject(tmp_path).settings()
    html = render_monitoring(shown, judged(shown, SETTINGS, MADE), settings)
    read = Reader(html)
    assert "My shop: do the models still hold?" in read.text
    assert "do what stands below before the scores are relied on" in read.text
    assert next(row for row in read.rows if row[0].startswith("x0"))[1] == "alarm"
    assert ["30 May 2024", "churn/1", "800", "never: it is <gone>"] in read.rows
    assert ["31 May 2024", "churn/2", "800", "known on 30 Jul 2024"] in read.rows
    assert ["3 Mar 2024", "churn/2", "800", "known since 2 May 2024"] in read.rows
    assert "<gone>" not in html
    assert "script" not in read.tags
    assert read.tags.count("svg") == 3
    assert [value for name, value in read.attributes if name in ("src", "href") and not value.startswith("#")] == []


def test_without_scores_the_page_says_what_is_missing(tmp_path: Path) -> None:
    bare = replace(found(), scores=(), ledger=())
    html = render_monitoring(bare, judged(bare, SETTINGS, MADE), TinyProject(tmp_path).settings())
    text = Reader(html).text
    assert "No scores are kept yet: foresight score keeps those of each moment." in text
    assert "No scores are ripe yet" in text


class TestFile:
    def test_is_read_as_it_was_written_and_counts_levels(self, shown: Found, tmp_path: Path) -> None:
        result, file = judged(shown, SETTINGS, MADE), tmp_path / "monitoring" / "latest.json"
        write_alerts(result, file)
        assert read_alerts(file) == result
        assert [one.name for one in file.parent.iterdir()] == ["latest.json"]
        assert (result.level, result.count(Level.ALARM), result.count(Level.OK)) == (Level.ALARM, 1, 2)
        assert result.psi_max["churn"] == pytest.approx(shown.models["churn"].features[0].psi.beyond_chance)

    def test_nothing_yet_or_something_else_is_none(self, tmp_path: Path) -> None:
        assert read_alerts(tmp_path / "latest.json") is None
        (tmp_path / "latest.json").write_text("{}")
        assert read_alerts(tmp_path / "latest.json") is None


def test_the_command_prints_every_check_with_its_advice(shown: Found) -> None:
    lines = list(monitoring_lines(judged(shown, SETTINGS, MADE)))
    assert lines[0] == "my_shop as of 2024-06-01: [red]alarm[/]"
    assert lines[1].startswith("[red]alarm[/] churn features: 'x0'")
    assert lines[2].startswith("      Look whether a feed or a definition changed")
    assert Monitoring.model_validate_json(judged(shown, SETTINGS, MADE).model_dump_json()).project == "my_shop"


def test_watch_lies_below_alarm(tmp_path: Path) -> None:
    project = TinyProject(tmp_path)
    with pytest.raises(UsageError, match="psi_watch must be less than psi_alarm"):
        project.settings(TABLES + "\n[monitoring]\npsi_watch = 0.3\n")


def test_the_service_shows_what_was_last_found(tmp_path: Path) -> None:
    file = tmp_path / "latest.json"
    assert b"foresight_alerts{" not in Metrics(file).page(InsightDouble())
    alert = Alert(
        check="features", model="churn", level=Level.ALARM, what="x", estimate=0.4, low=0.3, high=0.5, threshold=0.25
    )
    write_alerts(Monitoring(project="shop", as_of=AS_OF, made_at=MADE, psi_max={"churn": 0.4}, alerts=(alert,)), file)
    page = Metrics(file).page(InsightDouble()).decode()
    assert 'foresight_alerts{level="alarm"} 1.0' in page
    assert 'foresight_alerts{level="watch"} 0.0' in page
    assert 'foresight_drift_psi_max{kind="churn"} 0.4' in page
    [when] = [line for line in page.splitlines() if line.startswith("foresight_monitored_timestamp_seconds ")]
    assert float(when.split()[1]) == MADE.timestamp()
