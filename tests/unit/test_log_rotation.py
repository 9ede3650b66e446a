"""Old decisions leave the database: nothing is lost, nothing is double, training sees no difference."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from kernel.errors import DataError, UsageError
from serving.decisioning.catalogue import load_catalogue
from serving.feedback import rotation
from serving.feedback.archive import Archive
from serving.feedback.errors import UnknownDecisionError
from serving.feedback.history import History, read_history
from serving.feedback.rotation import Rotated, least_days, rotate
from serving.feedback.store import DecisionStore, StoreCounts
from serving.schemas import FeedbackRequest
from tests.doubles.insights import decision
from tests.postgres import found

NOW = datetime(2026, 6, 20, 12, tzinfo=UTC)
LATE = datetime(2026, 6, 19, tzinfo=UTC)
CATALOGUE = """
[[contact_limit]]
at_most = 3
window_days = 20
[[action]]
id = "a"
label = "A"
group = "g"
channels = ["mail"]
outcome = { name = "buy", window_days = 30 }
cost = { contact = 1.0, incentive_if_converted = 0.0 }
value = { margin = 35.0 }
prior = { rate = 0.02, strength = 60 }
suppress = [{ event = "dismissed", count = 2, window_days = 40, for_days = 25 }]
"""


@pytest.fixture
def store(state_url: str) -> Iterator[DecisionStore]:
    """Four decisions in each of January, February, April and June; the first two of a month have an event, and that of
    the second of January and of April came late."""
    store = DecisionStore(state_url)
    for month in (1, 2, 4, 6):
        for number in range(4):
            at = datetime(2026, month, 10 + number, tzinfo=UTC)
            name = f"d{month}-{number}"
            made = decision("1609", name)
            store.log_decisions([dataclasses.replace(made, chosen=None) if number == 3 else made], at)
            if number < 2:
                report(store, name, LATE if number and month in (1, 4) else at + timedelta(days=2))
    yield store
    store.close()


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "log")


def report(store: DecisionStore, name: str, at: datetime, number: int = 0) -> None:
    event = {"event_id": f"e-{name}-{number}", "decision_id": name, "action": "coupon", "event": "accepted"}
    store.record_feedback(FeedbackRequest.model_validate(event), at)


def same(one: History, other: History) -> bool:
    pd.testing.assert_frame_equal(one.decisions, other.decisions, check_exact=True)
    pd.testing.assert_frame_equal(one.feedback, other.feedback, check_exact=True)
    return (one.probabilities, one.values, one.closed) == (other.probabilities, other.values, other.closed)


def test_training_sees_no_difference(store: DecisionStore, archive: Archive, state_url: str) -> None:
    moments = (NOW, datetime(2026, 2, 11, 12, tzinfo=UTC))
    before = [read_history(store, moment, archive) for moment in moments]
    used = found(state_url, "SELECT action, day, decisions, cost FROM action_use ORDER BY 1, 2")
    assert rotate(store, archive, 60, None, NOW) == Rotated(("2026-01", "2026-02"), 7, 3)
    assert store.counts() == StoreCounts(decisions=9, feedback=5, quarantined=0)
    assert found(state_url, "SELECT decision_id FROM decisions WHERE decision_id LIKE 'd1%'") == [("d1-1",)]
    for moment, then in zip(moments, before, strict=True):
        assert same(read_history(store, moment, archive), then)
    assert [(len(one.decisions), len(one.feedback)) for one in before] == [(16, 8), (6, 1)]
    assert found(state_url, "SELECT action, day, decisions, cost FROM action_use ORDER BY 1, 2") == used
    assert rotate(store, archive, 60, None, NOW) == Rotated((), 0, 0)
    with pytest.raises(UnknownDecisionError):
        report(store, "d2-0", NOW)


@pytest.mark.parametrize(("stops_at", "left"), [(1, 16), (2, 14)])
def test_a_move_that_is_stopped_is_ended_by_the_next(
    store: DecisionStore, archive: Archive, monkeypatch: pytest.MonkeyPatch, stops_at: int, left: int
) -> None:
    before = read_history(store, NOW, archive)
    delete, calls = rotation._delete, []

    def stopping(*given: object) -> None:
        calls.append(given)
        if len(calls) == stops_at:
            raise RuntimeError("stopped")
        delete(*given)

    monkeypatch.setattr(rotation, "_AT_ONCE", 2)
    monkeypatch.setattr(rotation, "_delete", stopping)
    with pytest.raises(RuntimeError, match="stopped"):
        rotate(store, archive, 60, None, NOW)
    assert [(one.month, one.left_database) for one in archive.months()] == [("2026-01", False)]
    assert store.counts().decisions == left
    assert same(read_history(store, NOW, archive), before)
    report(store, "d1-3", NOW)  # what is reported in the meantime keeps its decision in the database
    meanwhile = read_history(store, NOW, archive)
    monkeypatch.setattr(rotation, "_delete", delete)
    assert rotate(store, archive, 60, None, NOW) == Rotated(("2026-02",), 4, 2)
    assert [one.left_database for one in archive.months()] == [True, True]
    assert store.counts() == StoreCounts(decisions=10, feedback=6, quarantined=0)
    assert same(read_history(store, NOW, archive), meanwhile)


def test_files_that_no_manifest_names_do_not_count(store: DecisionStore, archive: Archive) -> None:
    before = read_history(store, NOW, archive)
    rotate(store, archive, 130, None, NOW)
    stray = archive.folder / "decisions-2026-02-0123.parquet"
    stray.write_bytes(b"half")
    assert same(read_history(store, NOW, archive), before)
    rotate(store, archive, 60, None, NOW)
    assert not stray.exists()
    names = sorted(path.name.rsplit("-", 1)[0] for path in archive.folder.glob("*.parquet"))
    assert names == ["decisions-2026-01", "decisions-2026-02", "feedback-2026-01", "feedback-2026-02"]


def test_a_file_that_was_changed_is_refused(store: DecisionStore, archive: Archive) -> None:
    rotate(store, archive, 130, None, NOW)
    [month] = archive.months()
    file = archive.folder / month.decisions.name
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(DataError, match="not the file that was written"):
        read_history(store, NOW, archive)


def test_what_the_catalogue_looks_back_at_stays(store: DecisionStore, archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "actions.toml").write_text(CATALOGUE, encoding="utf-8")
    catalogue = load_catalogue(tmp_path / "actions.toml", {})
    assert (least_days(catalogue), least_days(None)) == (65, 0)
    with pytest.raises(UsageError, match="looks back 65 days"):
        rotate(store, archive, 64, catalogue, NOW)
    assert rotate(store, archive, 65, catalogue, NOW).months == ("2026-01", "2026-02")
