"""How the level of now is told from windows that are not over."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from kernel.part import Floats
from training.models.drift import NOT_SEEN, Beginning, drift

WINDOW = 56


def risks(rows: int, seed: int) -> Floats:
    return np.random.default_rng(seed).normal(-1.0, 1.0, rows)


def still_away(log_odds: Floats, days: int, seed: int, moved: float = 0.0) -> Floats:
    """Who has not come back after ``days`` of the window: the same hazard on every day of it."""
    at_the_end = 1 / (1 + np.exp(-(log_odds + moved)))
    chance = np.random.default_rng(seed).random(len(log_odds))
    return (chance < at_the_end ** (days / WINDOW)).astype(float)


def seen(rows: int = 8000) -> tuple[Floats, Callable[[int], Floats]]:
    log_odds = risks(rows, 1)
    return log_odds, lambda days: still_away(log_odds, days, 2)


def newer(moves: dict[int, float], rows: int = 4000) -> list[Beginning]:
    """Days ago -> by how much the log-odds of that window have moved."""
    return [
        Beginning(days, log_odds := risks(rows, 10 + days), still_away(log_odds, days, 20 + days, moved))
        for days, moved in moves.items()
    ]


def test_where_nothing_moved_nothing_is_corrected() -> None:
    found = drift(*seen(), newer({14: 0.0, 28: 0.0, 42: 0.0}), WINDOW)
    assert found.shift == pytest.approx(0.0, abs=0.08)


@pytest.mark.parametrize("moved", [-0.6, 0.6])
def test_most_of_a_movement_is_taken_over(moved: float) -> None:
    found = drift(*seen(), newer({14: moved, 28: moved, 42: moved}), WINDOW)
    assert 0.6 < found.shift / moved < 0.95


def test_the_newest_windows_count_the_most() -> None:
    rising = drift(*seen(), newer({42: 0.0, 28: 0.3, 14: 0.6}), WINDOW).shift
    falling = drift(*seen(), newer({42: 0.6, 28: 0.3, 14: 0.0}), WINDOW).shift
    assert rising > falling + 0.1


def test_few_customers_move_it_less_and_leave_it_less_certain() -> None:
    moves = {14: 0.6, 28: 0.6}
    many, few = drift(*seen(), newer(moves), WINDOW), drift(*seen(), newer(moves, rows=60), WINDOW)
    assert few.deviation > many.deviation


def test_a_longer_window_is_less_certain() -> None:
    found = [drift(*seen(), newer({14: 0.0}), days).deviation for days in (28, 112)]
    assert found[1] > found[0]


@pytest.mark.parametrize("happened", [0.0, 1.0])
def test_a_beginning_in_which_all_did_the_same_says_nothing(happened: float) -> None:
    log_odds, early = seen()
    silent = Beginning(14, log_odds, np.full(len(log_odds), happened))
    assert drift(log_odds, early, [silent], WINDOW) == NOT_SEEN
    assert drift(log_odds, lambda days: np.full(len(log_odds), happened), newer({14: 0.5}), WINDOW) == NOT_SEEN


def test_without_beginnings_nothing_is_said() -> None:
    assert drift(*seen(), [], WINDOW) == NOT_SEEN
