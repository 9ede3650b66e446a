"""Costs and gains of a campaign, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from kernel.settings import RetentionSettings
from training.evaluation.economics import Campaign, best_cut, campaign, profit_curve

MONEY = RetentionSettings(contact_cost=2.0, kept_value=50.0, success_rate=0.2)
SCORE, LEFT = np.array([0.1, 0.9, 0.5, 0.3]), np.array([0.0, 1.0, 0.0, 1.0])


def test_the_highest_scores_are_contacted() -> None:
    assert campaign(SCORE, LEFT, 2, MONEY) == Campaign(2, 1.0, 1 * 0.2 * 50 - 2 * 2)


def test_the_curve_begins_at_nothing_and_ends_with_everybody() -> None:
    assert profit_curve(SCORE, LEFT, MONEY) == pytest.approx([0, 8, 6, 14, 12])


def test_the_best_cut_contacts_whoever_is_worth_a_contact() -> None:
    # 0.2 x 50 x p > 2 from p = 0.2 on.
    assert best_cut(np.array([0.1, 0.19, 0.21, 0.9]), MONEY) == 2
