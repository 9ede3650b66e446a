"""Off-policy evaluation over hundreds of logs: intervals, wrong logs, false promotions, power."""

from __future__ import annotations

import pytest

from tests.policy_runs import (
    LOGGING,
    covered,
    promoted_with_gain,
    promoted_without_gain,
    sound_logs_passed,
    wrong_propensities_caught,
)

pytestmark = pytest.mark.soak


@pytest.mark.parametrize("logging", LOGGING)
def test_doubly_robust_intervals_hold_what_they_promise(logging: str) -> None:
    assert 0.92 <= covered(logging, 400) <= 0.98


def test_wrong_propensities_are_caught() -> None:
    assert wrong_propensities_caught(50) == 50


def test_sound_logs_pass() -> None:
    assert sound_logs_passed(200) >= 199


def test_false_promotions() -> None:
    assert promoted_without_gain(200) <= 10


def test_power() -> None:
    assert promoted_with_gain(200) >= 0.8
