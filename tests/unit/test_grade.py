"""Grades by hand: whom the rule flags, whom the model flags, what follows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from training.evaluation.grade import Grade, grade_churn, recency_rules


def _graded(probability: list[float], left: list[int], rules: dict[str, list[int]] | None = None) -> Grade:
    flags = {name: np.array(row, dtype=bool) for name, row in (rules or {}).items()}
    customers = pd.Index([f"c{i}" for i in range(len(left))])
    found = grade_churn(np.array(probability), np.array(left, dtype="float64"), customers, flags)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("horizon", "rules"),
    [
        (56, ["no purchase in the last 56 days", "no purchase in the last 28 days"]),
        (90, [f"no purchase in the last {days} days" for days in (90, 45, 22)]),
        (20, ["no purchase in the last 20 days"]),
    ],
)
def test_the_horizon_is_halved_until_it_is_a_month(horizon: int, rules: list[str]) -> None:
    assert list(recency_rules(np.array([1.0, 50.0]), horizon)) == rules


def test_the_model_flags_as_many_as_the_rule_and_finds_more_of_those_who_left() -> None:
    left = [1, 1, 1, 0, 0, 0, 0, 0]
    graded = _graded([0.9, 0.8, 0.3, 0.7, 0.2, 0.1, 0.1, 0.1], left, {"rule": [1, 0, 0, 1, 1, 0, 0, 0]})
    assert (graded.letter, graded.baseline) == ("A", "rule")
    assert graded.found == pytest.approx(2 / 3)
    assert graded.baseline_found == pytest.approx(1 / 3)
    assert graded.right == pytest.approx(6 / 8)
    assert graded.advantage.estimate == pytest.approx(1.0)


def test_less_than_a_tenth_better_is_b_and_no_better_is_c() -> None:
    left = [1] * 20 + [0] * 20
    rule = [1] * 10 + [0] * 10 + [1] * 10 + [0] * 10  # flags 20, right about 10 of 20
    order = np.linspace(1, 0, 40)

    def model(leavers: int) -> list[float]:
        # The 20 highest hold so many of those who left.
        ranked = [*range(leavers), *range(20, 40 - leavers)]
        ranked += [i for i in range(40) if i not in ranked]
        return [float(order[ranked.index(i)]) for i in range(40)]

    assert [_graded(model(n), left, {"rule": rule}).letter for n in (10, 11, 12)] == ["C", "A", "A"]
    nearly = [1] * 100 + [0] * 100
    rule = [1] * 80 + [0] * 20 + [1] * 20 + [0] * 80
    score = np.linspace(1, 0, 200)
    ranked = [*range(84), *range(100, 116), *range(84, 100), *range(116, 200)]
    assert _graded([float(score[ranked.index(i)]) for i in range(200)], nearly, {"rule": rule}).letter == "B"


def test_wrong_about_most_customers_is_c() -> None:
    left = [1] + [0] * 9
    rule = [0] + [1] * 9
    graded = _graded([1.0, *[0.5] * 9], left, {"rule": rule})
    assert (graded.letter, graded.right) == ("C", pytest.approx(0.2))


def test_the_best_rule_is_the_baseline_and_one_that_flags_nobody_or_all_is_none() -> None:
    left = [1, 1, 0, 0, 0, 0]
    rules = {"nobody": [0] * 6, "all": [1] * 6, "bad": [0, 0, 1, 1, 0, 0], "good": [1, 0, 0, 0, 0, 0]}
    assert _graded([0.9, 0.8, 0.1, 0.1, 0.1, 0.1], left, rules).baseline == "good"


def test_without_a_rule_the_baseline_is_the_churn_rate() -> None:
    left = [1] * 25 + [0] * 75
    graded = _graded(list(np.linspace(1, 0, 100)), left)
    assert graded.baseline_found == pytest.approx(0.25)
    assert (graded.letter, graded.found) == ("A", 1.0)
    # The order is the same, but nobody is called a churner: of those who left none is found.
    shy = _graded(list(np.linspace(0.4, 0, 100)), left)
    assert (shy.letter, shy.found, shy.right) == ("C", 0.0, pytest.approx(0.75))


def test_few_customers_earn_an_a_that_is_not_sure() -> None:
    random = np.random.default_rng(3)
    size = 120
    left = (random.random(size) < 0.3).astype(int)
    score = left * 0.25 + random.random(size)
    rule = (left * 0.2 + random.random(size) > 0.6).astype(int)
    few = _graded(list(score), list(left), {"rule": list(rule)})
    many = _graded(list(score) * 20, list(left) * 20, {"rule": list(rule) * 20})
    assert few.letter == many.letter
    assert many.sureness[many.letter] > few.sureness[few.letter]
    assert few.advantage.high - few.advantage.low > 2 * (many.advantage.high - many.advantage.low)
    assert sum(few.sureness.values()) == pytest.approx(1)


def test_rows_of_one_customer_are_no_independent_evidence() -> None:
    random = np.random.default_rng(3)
    left = (random.random(150) < 0.3).astype("float64")
    score, rule = left * 0.3 + random.random(150), left * 0.2 + random.random(150) > 0.6
    names = pd.Index([f"c{i}" for i in range(150)])
    once = grade_churn(score, left, names, {"rule": rule})
    repeated = grade_churn(np.tile(score, 4), np.tile(left, 4), names.append([names] * 3), {"rule": np.tile(rule, 4)})
    assert once is not None
    assert repeated is not None
    assert repeated.advantage.high - repeated.advantage.low == pytest.approx(
        once.advantage.high - once.advantage.low, rel=0.15
    )


@pytest.mark.parametrize("outcome", [0.0, 1.0])
def test_one_outcome_has_no_grade(outcome: float) -> None:
    assert grade_churn(np.array([0.1, 0.2]), np.full(2, outcome), pd.Index(["a", "b"]), {}) is None
