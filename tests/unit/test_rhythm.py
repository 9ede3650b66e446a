"""After how long do customers hardly come back?"""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from kernel.clock import parse_as_of
from kernel.errors import NotEnoughDataError
from tests.projects import TinyProject
from training.labels.rhythm import Rhythm, purchase_rhythm

START = date(2024, 1, 1)


def rhythm(project: TinyProject, visits: dict[str, list[int]], as_of: str = "2024-12-31") -> Rhythm:
    rows = [
        f"{name},{name}-{day},{START + timedelta(days=day)} 10:00:00,5" for name, days in visits.items() for day in days
    ]
    project.write("customers.csv", "id\n" + "\n".join(visits) + "\n")
    project.write("sales.csv", "id,receipt,at,paid\n" + "\n".join(rows) + "\n")
    with project.profiles() as profiles:
        return purchase_rhythm(profiles, parse_as_of(as_of))


def test_nine_returns_in_ten_decide_and_weeks_are_whole(project: TinyProject) -> None:
    weekly = {f"w{i}": list(range(0, 364, 7)) for i in range(19)}
    monthly = {"slow": list(range(0, 364, 30))}
    found = rhythm(project, weekly | monthly)
    # Each customer counts once: 19 of 20 come back after a week, whatever the number of their visits.
    assert found.returned_by(6) == 0
    assert found.returned_by(7) == pytest.approx(0.95, abs=0.02)
    assert found.horizon_days == 7
    assert found.returned_by(30) == pytest.approx(1)


def test_a_silence_that_still_lasts_is_no_late_return(project: TinyProject) -> None:
    # Half of the customers stopped for good: the rhythm is that of the others.
    come_back = {f"c{i}": [0, 10, 20, 30, 40, 50, 360] for i in range(10)}
    stopped = {f"s{i}": [0] for i in range(10)}
    found = rhythm(project, come_back | stopped)
    alone = rhythm(project, come_back)
    assert found.returned_by(10) < 1
    assert found.horizon_days == alone.horizon_days == 315
    assert found.returns == 60


def test_nothing_later_is_looked_at(project: TinyProject) -> None:
    visits = {f"c{i}": [0, 10, 20, 30] for i in range(10)}
    before = rhythm(project, visits, "2024-02-10")
    after = rhythm(project, {name: [*days, 200, 300] for name, days in visits.items()}, "2024-02-10")
    assert (before.horizon_days, before.returned.tolist()) == (after.horizon_days, after.returned.tolist())


def test_too_few_returns_choose_nothing(project: TinyProject) -> None:
    with pytest.raises(NotEnoughDataError, match="Only 3 returns"):
        rhythm(project, {"a": [0, 5, 9, 20]})
