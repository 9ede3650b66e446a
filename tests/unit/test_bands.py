"""Bands: limits, and what keeps a customer at a limit where it was."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from kernel.settings import ChurnSettings
from kernel.types import Band
from serving.scoring.band_log import BandLog, BandsUnavailableError
from tests.doubles.models import churn_predictor

DAY = datetime(2024, 3, 1, tzinfo=UTC)
LOW, MEDIUM, HIGH = Band.LOW, Band.MEDIUM, Band.HIGH


def bands(percentiles: list[float], held: list[Band | None] | None = None) -> list[Band | None]:
    """With limits at 70 and 90 and a margin of 2 points."""
    model = churn_predictor(bands=(70.0, 90.0), band_margin=2.0)
    before = None if held is None else np.array(held, dtype=object)
    return list(model.bands(np.array(percentiles), before))


def test_limits_belong_to_the_band_above() -> None:
    assert bands([0, 69.99, 70, 89.99, 90, 100, np.nan]) == [LOW, LOW, MEDIUM, MEDIUM, HIGH, HIGH, None]


@pytest.mark.parametrize(
    ("percentile", "held", "band"),
    [
        (71.9, LOW, LOW),
        (72.0, LOW, MEDIUM),
        (68.0, MEDIUM, MEDIUM),
        (67.9, MEDIUM, LOW),
        (91.9, MEDIUM, MEDIUM),
        (92.0, MEDIUM, HIGH),
        (88.0, HIGH, HIGH),
        (87.9, HIGH, MEDIUM),
        (95.0, LOW, HIGH),  # a large change goes all the way
        (91.0, LOW, MEDIUM),  # not yet surely high, but surely no longer low
        (10.0, HIGH, LOW),
        (69.0, HIGH, MEDIUM),
        (71.0, None, MEDIUM),
    ],
)
def test_a_band_is_held_until_the_margin_is_passed(percentile: float, held: Band | None, band: Band) -> None:
    assert bands([percentile], [held]) == [band]


def test_who_trembles_at_a_limit_does_not_flip() -> None:
    random = np.random.default_rng(1)
    band: Band | None = None
    plain: list[Band | None] = []
    shown: list[Band | None] = []
    for percentile in 70 + random.uniform(-1.9, 1.9, 60):
        [band] = bands([percentile], [band])
        shown.append(band)
        plain += bands([percentile])
    assert len(set(plain)) == 2
    assert len(set(shown)) == 1


def test_a_margin_that_hides_a_band_is_refused() -> None:
    with pytest.raises(ValidationError, match="band_margin must be less"):
        ChurnSettings(bands=(70.0, 99.0), band_margin=2.0)
    assert ChurnSettings(bands=(70.0, 99.0), band_margin=0.5).band_margin == 0.5


@pytest.fixture
def log(tmp_path: Path) -> BandLog:
    return BandLog(f"sqlite:///{tmp_path}/state/decisions.db", "shop")


def keep(log: BandLog, as_of: datetime, given: dict[str, Band | None]) -> None:
    before = log.before(as_of, list(given))
    with log.recording(as_of) as recording:
        recording.add(list(given), list(given.values()), before)


def rows(tmp_path: Path) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(tmp_path / "state" / "decisions.db")
    try:
        return connection.execute("SELECT customer_id, as_of, band FROM churn_bands ORDER BY 1, 2").fetchall()
    finally:
        connection.close()


def test_reading_makes_nothing(log: BandLog, tmp_path: Path) -> None:
    assert log.before(DAY, ["anna"]) == {}
    assert not (tmp_path / "state").exists()


def test_reading_leaves_a_database_without_bands_as_it_is(log: BandLog, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    connection = sqlite3.connect(tmp_path / "state" / "decisions.db")
    connection.execute("CREATE TABLE other (a INTEGER)")
    connection.close()
    assert log.before(DAY, ["anna"]) == {}
    log.close()
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["decisions.db"]
    connection = sqlite3.connect(tmp_path / "state" / "decisions.db")
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("other",)]
    connection.close()


def test_the_last_band_before_a_moment(state_url: str) -> None:
    log = BandLog(state_url, "shop")
    keep(log, DAY, {"anna": LOW, "bert": HIGH, "cleo": None})
    keep(log, DAY + timedelta(days=1), {"anna": MEDIUM, "bert": HIGH})
    assert log.before(DAY, ["anna", "bert"]) == {}  # at the moment itself: those before it
    assert log.before(DAY + timedelta(hours=1), ["anna", "bert", "cleo"]) == {"anna": LOW, "bert": HIGH}
    assert log.before(DAY + timedelta(days=9), ["anna", "bert", "dora"]) == {"anna": MEDIUM, "bert": HIGH}


def test_bands_that_another_writes_first_are_seen_at_once(state_url: str) -> None:
    reader = BandLog(state_url, "shop")
    assert reader.before(DAY, ["anna"]) == {}
    keep(BandLog(state_url, "shop"), DAY, {"anna": LOW})
    assert reader.before(DAY + timedelta(hours=1), ["anna"]) == {"anna": LOW}


def test_only_changes_are_kept(log: BandLog, tmp_path: Path) -> None:
    for day in range(5):
        keep(log, DAY + timedelta(days=day), {"anna": LOW, "bert": HIGH if day < 3 else MEDIUM})
    assert [(name, band) for name, _, band in rows(tmp_path)] == [("anna", "low"), ("bert", "high"), ("bert", "medium")]


def test_scoring_again_takes_the_place_of_the_same_moment(log: BandLog, tmp_path: Path) -> None:
    keep(log, DAY, {"anna": LOW, "bert": HIGH})
    keep(log, DAY, {"anna": MEDIUM, "bert": HIGH})
    assert [(name, band) for name, _, band in rows(tmp_path)] == [("anna", "medium"), ("bert", "high")]


def test_an_earlier_moment_changes_nothing_that_was_decided_later(log: BandLog, tmp_path: Path) -> None:
    keep(log, DAY, {"anna": LOW})
    kept = rows(tmp_path)
    keep(log, DAY - timedelta(days=7), {"anna": HIGH, "bert": HIGH})
    assert rows(tmp_path) == kept


def test_scores_that_fail_leave_nothing(state_url: str) -> None:
    log = BandLog(state_url, "shop")
    with pytest.raises(RuntimeError), log.recording(DAY) as recording:
        recording.add(["anna"], [HIGH], {})
        raise RuntimeError
    assert log.before(DAY + timedelta(days=1), ["anna"]) == {}


def test_projects_do_not_mix_in_one_database(log: BandLog, tmp_path: Path) -> None:
    other = BandLog(f"sqlite:///{tmp_path}/state/decisions.db", "other")
    keep(log, DAY, {"anna": HIGH})
    assert other.before(DAY + timedelta(days=1), ["anna"]) == {}
    keep(other, DAY, {"anna": LOW})
    assert log.before(DAY + timedelta(days=1), ["anna"]) == {"anna": HIGH}


def test_many_customers_at_once(log: BandLog) -> None:
    given: dict[str, Band | None] = {f"c{i}": (LOW, MEDIUM, HIGH)[i % 3] for i in range(12_000)}
    keep(log, DAY, given)
    assert log.before(DAY + timedelta(days=1), list(given)) == given


def test_a_database_that_does_not_answer_is_said(tmp_path: Path) -> None:
    (tmp_path / "broken.db").write_text("no database")
    log = BandLog(f"sqlite:///{tmp_path}/broken.db", "shop")
    with pytest.raises(BandsUnavailableError):
        log.before(DAY, ["anna"])


def test_on_postgresql(postgres_url: str) -> None:
    log = BandLog(postgres_url, "shop")
    later = DAY + timedelta(days=9)
    try:
        assert log.before(later, ["anna"]) == {}
        keep(log, DAY, {"anna": LOW, "bert": HIGH})
        keep(log, DAY + timedelta(days=1), {"anna": MEDIUM, "bert": HIGH})
        keep(log, DAY + timedelta(days=1), {"anna": MEDIUM, "bert": LOW})
        assert log.before(later, ["anna", "bert", "cleo"]) == {"anna": MEDIUM, "bert": LOW}
        assert log.before(DAY + timedelta(days=1), ["anna", "bert"]) == {"anna": LOW, "bert": HIGH}
    finally:
        log.close()


def test_a_log_that_is_replaced_is_read_anew(log: BandLog, tmp_path: Path) -> None:
    keep(log, DAY, {"anna": LOW})
    later = DAY + timedelta(days=1)
    assert log.before(later, ["anna"]) == {"anna": LOW}
    (tmp_path / "state").rename(tmp_path / "old")
    assert log.before(later, ["anna"]) == {}
    other = BandLog(f"sqlite:///{tmp_path}/state/decisions.db", "shop")
    keep(other, DAY, {"anna": HIGH})
    assert log.before(later, ["anna"]) == {"anna": HIGH}


def test_a_reader_that_is_forgotten_closes_its_file(tmp_path: Path) -> None:
    file = tmp_path / "state" / "decisions.db"
    keep(BandLog(f"sqlite:///{file}", "shop"), DAY, {"anna": LOW})
    reader = BandLog(f"sqlite:///{file}", "shop")
    reader.before(DAY + timedelta(days=1), ["anna"])
    assert file in open_files()
    del reader
    assert file not in open_files()


def open_files() -> set[Path]:
    return {link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()}
