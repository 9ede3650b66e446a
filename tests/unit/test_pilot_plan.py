"""What a pilot takes, in words: from options alone, and what is said where customers are too few."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from foresight.pilot_plan import PilotQuestion, pilot_lines, size_pilot
from kernel.errors import UsageError
from serving.decisioning.pilot import PilotArms, pilot_arms, pilot_arms_of_money, smallest_lift

ASKED = PilotQuestion(effect=0.01, rate=0.05, window_days=28)
MONEY = PilotQuestion(effect=5.0, spread=120.0, window_days=28, per_day=500, control_share=0.2)


def test_arms_and_days_in_words() -> None:
    plan = size_pilot(replace(ASKED, per_day=1_000))
    assert plan.arms == PilotArms(8_158, 8_158)  # as tests/unit/test_allocation.py derives it
    said = " ".join(pilot_lines(plan, "mail"))
    assert "Pilot of mail: 8,158 customers who get it and 8,158 who get nothing" in said
    assert "+1.00 percentage points within 28 days, beside 5.0% without it, with a power of 80%" in said
    assert "a significance level of 5.0%" in said
    assert "It takes 45 days: 17 until the last customer has entered, and 28 until the outcome is known" in said


def test_all_who_may_have_it_enter_on_one_day() -> None:
    assert size_pilot(ASKED, available=20_000).days == 1 + 28
    assert size_pilot(ASKED).days is None
    assert "give --per-day" in " ".join(pilot_lines(size_pilot(ASKED)))


def test_too_few_customers_find_a_larger_effect_only() -> None:
    plan = size_pilot(ASKED, available=2_000)
    assert plan.days is None
    assert plan.smallest is not None
    assert pilot_arms(0.05, plan.smallest).total <= 2_000 < pilot_arms(0.05, 0.99 * plan.smallest).total
    said = " ".join(pilot_lines(plan))
    assert f"would find an effect from {100 * plan.smallest:+.2f} percentage points on" in said
    assert "would not find any effect" in " ".join(pilot_lines(size_pilot(ASKED, available=2)))


def test_outcomes_of_money_find_the_effect_as_often_as_they_say() -> None:
    arms = pilot_arms_of_money(120.0, 5.0, share_control=0.2)
    assert arms == size_pilot(MONEY, unit="EUR").arms
    error = 120.0 * (1 / arms.treated + 1 / arms.control) ** 0.5
    seen = np.random.default_rng(0).normal(5.0, error, 20_000)
    assert np.mean(np.abs(seen) > 1.96 * error) == pytest.approx(0.8, abs=0.01)
    assert arms.total > pilot_arms_of_money(120.0, 5.0).total
    assert "+5.00 EUR per customer within 28 days, where customers differ by 120.00 EUR" in " ".join(
        pilot_lines(size_pilot(MONEY, unit="EUR"))
    )
    # The closed form: the lift that 1,000 customers find.
    found = smallest_lift(lambda lift: pilot_arms_of_money(10.0, lift), 1_000, 100.0)
    assert found == pytest.approx((1.959964 + 0.841621) * 10 * (4 / 1_000) ** 0.5, rel=1e-3)


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"effect": None}, "--effect"),
        ({"rate": None}, "--rate"),
        ({"spread": 3.0}, "--rate"),
        ({"rate": 1.2}, "--rate"),
        ({"power": 0.0}, "--power"),
        ({"significance": 2.0}, "--significance"),
        ({"control_share": 1.0}, "--control-share"),
        ({"window_days": 0}, "--window-days"),
        ({"effect": 0.96}, "size of a pilot"),
        ({"effect": 0.0}, "size of a pilot"),
        ({"per_day": 0.0}, "size of a pilot"),
        ({"rate": None, "spread": -1.0}, "size of a pilot"),
    ],
)
def test_wrong_numbers(given: dict[str, Any], where: str) -> None:
    with pytest.raises(UsageError) as caught:
        size_pilot(replace(ASKED, **given))
    assert where in caught.value.where
