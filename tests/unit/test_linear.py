"""The straight line of a churn model: its effects are exact, centred, and end where nobody has been."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from kernel.artefacts import FeatureColumn
from kernel.linear_part import FURTHEST, LinearPart
from kernel.part import Floats
from training.models.linear import fit_linear


def column(name: str, categories: tuple[str, ...] | None = None) -> FeatureColumn:
    return FeatureColumn(name=name, group="g", phrase=name, unit="", version=1, categories=categories)


COLUMNS = (column("days"), column("money"), column("constant"), column("kind", ("a", "b", "c")))


def rows(count: int = 4000) -> tuple[Floats, Floats]:
    random = np.random.default_rng(3)
    days, money = random.exponential(20, count), random.normal(0, 50, count)
    kind = random.integers(0, 3, count).astype(float)
    log_odds = 0.9 * (np.log1p(days) - 2.5) - 0.4 * (kind == 2) - 0.5
    money[::7], kind[::11] = np.nan, np.nan
    happened = (random.random(count) < 1 / (1 + np.exp(-log_odds))).astype(float)
    return np.column_stack([days, money, np.full(count, 5.0), kind]), happened


@pytest.fixture(scope="module")
def line() -> LinearPart:
    inputs, happened = rows()
    return fit_linear(inputs, COLUMNS, happened, 0.001)


def test_the_effects_make_the_log_odds(line: LinearPart) -> None:
    inputs, _ = rows()
    assert line.log_odds(inputs) == pytest.approx(line.intercept + line.effects(inputs).sum(axis=1), abs=1e-12)


def test_the_effects_average_nothing_over_the_rows_of_training(line: LinearPart) -> None:
    inputs, _ = rows()
    assert line.effects(inputs).mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-12)


def test_it_finds_what_made_the_rows(line: LinearPart) -> None:
    per_log_day = line.weight[0] / line.deviation[0]
    a, b, c = line.words[3]
    assert per_log_day == pytest.approx(0.9, abs=0.08)
    assert c - (a + b) / 2 == pytest.approx(-0.4, abs=0.12)
    assert (line.weight[2], line.weight[3]) == pytest.approx((0.0, 0.0), abs=1e-12)  # a constant, and words


def test_without_a_penalty_it_is_the_regression_that_is_known() -> None:
    inputs, happened = rows()
    line = fit_linear(inputs[:, :1], COLUMNS[:1], happened, 1e-9)
    logs = np.log1p(inputs[:, :1])
    known = LogisticRegression(C=np.inf).fit((logs - logs.mean()) / logs.std(), happened)
    # Rows more than four deviations away count as four: there are hardly any.
    assert line.log_odds(inputs[:, :1]) == pytest.approx(
        known.decision_function((logs - logs.mean()) / logs.std()), abs=2e-3
    )


def test_a_heavier_penalty_gives_smaller_effects() -> None:
    inputs, happened = rows()
    spread = [fit_linear(inputs, COLUMNS, happened, penalty).effects(inputs).std() for penalty in (0.01, 0.1, 1.0)]
    assert spread[0] > spread[1] > spread[2] > 0


def test_what_lies_far_outside_counts_as_the_furthest(line: LinearPart) -> None:
    far, further = np.array([[1e9, 0, 5, 0]]), np.array([[1e12, 0, 5, 0]])
    assert np.array_equal(line.effects(far), line.effects(further))
    assert line.effects(far)[0, 0] == pytest.approx(line.weight[0] * FURTHEST + line.known[0])


def test_a_direction_holds_whatever_the_rows_say() -> None:
    inputs, happened = rows()
    free = fit_linear(inputs, COLUMNS, happened, 0.001)
    assert free.weight[0] > 0
    up = fit_linear(inputs, COLUMNS, happened, 0.001, directions=(1, 0, 0, 0))
    assert up.weight == pytest.approx(free.weight, abs=1e-9)
    down = fit_linear(inputs, COLUMNS, happened, 0.001, directions=(-1, 0, 0, 0))
    assert down.weight[0] == 0
    assert down.words[3] == pytest.approx(free.words[3], abs=0.1)


def test_a_row_of_weight_two_is_two_rows() -> None:
    inputs, happened = rows(1000)
    weight = 1.0 + (np.arange(1000) % 3 == 0)
    twice = np.repeat(np.arange(1000), weight.astype(int))
    weighed = fit_linear(inputs, COLUMNS, happened, 0.01 * 1000, weight=weight)
    repeated = fit_linear(inputs[twice], COLUMNS, happened[twice], 0.01 * 1000 * 1000 / len(twice))
    # The same regression up to the scale of the inputs, which is that of the rows as they stand.
    assert np.corrcoef(weighed.log_odds(inputs), repeated.log_odds(inputs))[0, 1] > 0.9999


def test_what_is_missing_has_an_effect_of_its_own(line: LinearPart) -> None:
    nothing = np.full((1, 4), np.nan)
    assert np.array_equal(line.effects(nothing)[0], np.array(line.missing))


def test_one_row_gets_the_bits_of_many(line: LinearPart) -> None:
    inputs, _ = rows(300)
    alone = np.array([line.log_odds(inputs[i : i + 1])[0] for i in range(300)])
    assert np.array_equal(alone, line.log_odds(inputs))


def test_it_survives_being_stored(line: LinearPart) -> None:
    inputs, _ = rows(50)
    stored = LinearPart.model_validate_json(line.model_dump_json())
    assert np.array_equal(stored.log_odds(inputs), line.log_odds(inputs))
