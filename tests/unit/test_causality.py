"""Effects are claimed where a draw, or what is known, accounts for who was treated; else they are refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kernel.errors import NotEnoughDataError
from training.evaluation.causality import CausalityCheck, Observed, check_causality

ROWS = 3000
EFFECT = 2.0


def observed(
    *, known: float = 0.0, hidden: float = 0.0, effect: float = EFFECT, seed: int = 0
) -> tuple[Observed, Observed]:
    """Who is treated leans on what is known of customers by ``known`` and on what nobody knows by ``hidden``."""
    random = np.random.default_rng(seed)
    inputs = random.normal(size=(ROWS, 3))
    secret = random.normal(size=ROWS)
    treated = random.random(ROWS) < 1 / (1 + np.exp(-(known * inputs[:, 0] + hidden * secret)))
    base = 10 + 2 * inputs[:, 0] + inputs[:, 1] + 2 * secret
    past, present = (base + random.normal(size=ROWS) for _ in range(2))
    before = Observed(inputs, (0, 0, 0), treated, past, np.arange(ROWS))
    return replace(before, outcome=present + effect * treated), before


def broken(found: CausalityCheck) -> list[str]:
    return [check.name for check in found.checks if not check.holds]


def test_a_draw() -> None:
    found = check_causality(*observed(), unit="EUR")
    assert found.holds
    assert found.adjusted.low <= EFFECT <= found.adjusted.high
    assert found.sentence.startswith("An effect of +")
    assert "EUR" in found.sentence


def test_what_is_known_accounts_for_it() -> None:
    found = check_causality(*observed(known=1.0))
    assert found.holds
    assert found.naive.low > EFFECT + 0.5
    assert found.adjusted.low <= EFFECT <= found.adjusted.high


def test_what_nobody_knows_does_not() -> None:
    found = check_causality(*observed(hidden=1.0))
    assert broken(found) == ["placebo"]
    assert found.sentence.startswith("No effect may be claimed: nobody drew who is treated, and placebo fails")
    assert "the treatment seems to change the time before it" in found.checks[-1].found.lower()


def test_nobody_to_compare_with() -> None:
    found = check_causality(*observed(known=8.0))
    assert "overlap" in broken(found)
    assert "overlap fails" in found.sentence


def test_sound_comparisons_are_hardly_ever_refused() -> None:
    # The placebo alone errs in one of twenty.
    assert sum(not check_causality(*observed(known=0.7, seed=seed)).holds for seed in range(1, 21)) <= 3


def test_too_few() -> None:
    after, before = observed()
    few = np.arange(ROWS) < 99
    with pytest.raises(NotEnoughDataError, match="Only 99 customers are on one side"):
        check_causality(replace(after, treated=few), replace(before, treated=few))
