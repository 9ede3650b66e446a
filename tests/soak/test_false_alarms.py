"""How often monitoring calls an alarm where nothing changed, and how often it sees what did."""

from __future__ import annotations

import pytest

from tests.drifting import share_of_alarms

pytestmark = pytest.mark.soak

RUNS = 400


@pytest.mark.parametrize(("then", "now"), [(200, 200), (1000, 200), (1000, 1000), (5000, 5000)])
def test_hardly_ever_an_alarm_where_nothing_changed(then: int, now: int) -> None:
    alarms, watched = share_of_alarms(RUNS, then, now)
    assert alarms == 0
    assert watched <= 0.01


@pytest.mark.parametrize(("customers", "shift"), [(200, 1.2), (1000, 0.8), (5000, 0.7)])
def test_a_real_shift_is_seen(customers: int, shift: float) -> None:
    alarms, _ = share_of_alarms(RUNS, customers, customers, shift)
    assert alarms >= 0.95
