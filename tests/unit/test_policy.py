"""The policy: probabilities that add up, a draw from exactly these, and shares that match numerical integration."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats
from scipy.integrate import quad

from kernel.uplift_predictor import Effects, EffectStatus
from serving.decisioning.belief import Belief, Draws, LearnedBelief, PriorBelief, beside
from serving.decisioning.policy import (
    PolicySettings,
    choice_probabilities,
    draw,
    greedy_choice,
    seed_of,
    thompson_share,
)
from serving.decisioning.value import ActionTerms, incremental_total, incremental_value

USUAL = PolicySettings()


def drawn_from(action: str, belief: Belief, of: PolicySettings) -> Draws:
    return belief.draws(action, of.draws, of.salt)


def first_row(drawn: Draws) -> np.ndarray:
    return rows_of(drawn, 1)[0]


def rows_of(drawn: Draws, rows: int) -> np.ndarray:
    """Of one action, shape (customers, draws)."""
    return Draws.beside([drawn]).at(slice(0, rows), np.array([0]))[:, 0]


def terms(value: object, *, lever: float = 1.0, contact: float = 0.5, incentive: float = 0.0, anyway: float = 0.0):
    return ActionTerms(np.atleast_1d(np.asarray(value, dtype=np.float64)), lever, contact, incentive, anyway)


def terms_beside(each: list[ActionTerms]) -> ActionTerms:
    """Of several actions in one."""
    costs = [[of.lever, of.contact, of.incentive, of.taken_anyway] for of in each]
    return ActionTerms(beside([of.value for of in each]), *np.array(costs, dtype=np.float64).T)


def test_the_value_is_the_formula_and_its_parts_add_up_exactly() -> None:
    parts = incremental_value(np.array([0.04, 0.2]), terms(30.0, contact=0.7, incentive=2.0, anyway=0.1, lever=1.1))
    assert parts.expected_margin.tolist() == [0.04 * 30.0, 0.2 * 30.0]
    assert parts.incentive_cost.tolist() == [(0.04 + 0.1) * 2.0, (0.2 + 0.1) * 2.0]
    assert parts.total == pytest.approx([0.04 * 30 * 1.1 - 0.7 - 0.28, 0.2 * 30 * 1.1 - 0.7 - 0.6], abs=1e-12)
    summed = parts.expected_margin - parts.contact_cost - parts.incentive_cost + parts.lever_effect
    assert parts.total.tolist() == summed.tolist()


def test_a_lever_never_lifts_an_action_above_doing_nothing() -> None:
    uplift = np.array([0.01, 0.03, 0.05])
    without = incremental_value(uplift, terms(20.0)).total
    lifted = incremental_value(uplift, terms(20.0, lever=2.0)).total
    lowered = incremental_value(uplift, terms(20.0, lever=0.5)).total
    assert without == pytest.approx([-0.3, 0.1, 0.5])
    assert lifted == pytest.approx([-0.1, 0.7, 1.5])
    assert lowered == pytest.approx([-0.4, -0.2, 0.0])
    almost = incremental_value(np.array([0.024]), terms(20.0, lever=2.0)).total
    assert almost.tolist() == [0.0]
    assert greedy_choice(almost[:, None], np.array([[True]])).tolist() == [0]


@pytest.mark.parametrize("lever", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("incentive", [0.0, 1.1])
def test_the_value_of_draws_is_the_one_with_parts(lever: float, incentive: float) -> None:
    rng = np.random.default_rng(12)
    uplift = rng.normal(0.02, 0.03, (40, 64))
    for value in (rng.gamma(1, 40, (40, 1)), np.array([[30.0]])):
        for of in (uplift, uplift[:1]):
            known = ActionTerms(value, lever, 0.7, incentive, 0.1)
            before = of.copy()
            assert incremental_total(of, known).tolist() == incremental_value(of, known).total.tolist()
            assert of.tolist() == before.tolist()


def test_of_equal_draws_the_first_action_wins_and_nothing_before_all() -> None:
    """Counted one draw after the other, as a person would."""
    rng = np.random.default_rng(13)
    levels = rng.integers(-2, 3, (4, 64)) / 4  # few different values: many ties
    drawn = [Draws(np.zeros(1), np.ones(1), noise) for noise in levels]
    of = terms_beside([terms(1.0, contact=0.0) for _ in drawn])
    eligible = np.array([[True, True, True, True], [False, True, False, True], [False] * 4])
    found = thompson_share(of, Draws.beside(drawn), eligible)
    for row, allowed in enumerate(eligible):
        winners = [
            max([(0.0, 0), *((value, -1 - at) for at, value in enumerate(column) if allowed[at])])
            for column in levels.T.tolist()
        ]
        counted = np.bincount([-at for _, at in winners], minlength=5)
        assert found[row].tolist() == (counted / 64).tolist()


def test_a_prior_is_a_beta_distribution_of_its_strength() -> None:
    belief = PriorBelief.of(0.05, 40)
    assert (belief.successes, belief.failures, belief.status) == (2.0, 38.0, EffectStatus.PRIOR)
    assert belief.mean.tolist() == [0.05]
    assert belief.quantile(0.95).tolist() == pytest.approx([stats.beta(2, 38).ppf(0.95)], rel=1e-12)


def test_draws_follow_the_belief_and_depend_on_the_action_alone() -> None:
    belief = PriorBelief(2.0, 38.0)
    drawn = first_row(drawn_from("a", belief, USUAL))
    other = first_row(drawn_from("b", belief, USUAL))
    expected = stats.beta(2, 38).ppf((np.arange(512) + 0.5) / 512)
    assert np.sort(drawn) == pytest.approx(expected, rel=1e-9)
    assert drawn.tolist() == first_row(drawn_from("a", belief, PolicySettings())).tolist()
    assert drawn.tolist() != other.tolist()
    assert abs(np.corrcoef(drawn, other)[0, 1]) < 0.1


def learned(mean: np.ndarray, error: np.ndarray) -> LearnedBelief:
    return LearnedBelief(Effects(mean, error, EffectStatus.CALIBRATED))


def test_what_was_learned_is_a_normal_distribution_of_each_customer() -> None:
    belief = learned(np.array([0.02, -0.01]), np.array([0.01, 0.02]))
    assert belief.quantile(0.95) == pytest.approx([0.02 + 1.6448536 * 0.01, -0.01 + 1.6448536 * 0.02])
    drawn = rows_of(drawn_from("a", belief, USUAL), 2)
    levels = (np.arange(512) + 0.5) / 512
    assert np.sort(drawn[1]) == pytest.approx(stats.norm(-0.01, 0.02).ppf(levels), rel=1e-9)
    # All customers share the noise, so that a single one gets the same draws as in a batch.
    alone = learned(np.array([-0.01]), np.array([0.02]))
    assert first_row(drawn_from("a", alone, USUAL)).tolist() == drawn[1].tolist()


def test_the_share_of_what_was_learned_is_the_probability_of_being_best() -> None:
    mean, error = np.array([0.03, 0.01]), np.array([0.02, 0.02])
    of = terms_beside([terms(30.0, contact=0.6)])
    drawn = Draws.beside([drawn_from("a", learned(mean, error), USUAL)])
    found = thompson_share(of, drawn, np.array([[True], [True]]))
    assert found[:, 1] == pytest.approx(stats.norm.sf((0.6 / 30 - mean) / error), abs=2 / 512)


def test_the_share_is_the_probability_of_being_best() -> None:
    """Two actions and nothing: P(a is best) = integral of its density times P(the other is worse), where positive."""
    first, second = PriorBelief(4.0, 96.0), PriorBelief(2.0, 60.0)
    values, contact = (30.0, 35.0), 0.6
    a, b = stats.beta(4, 96), stats.beta(2, 60)
    zero = contact / values[0]
    exact_a = quad(lambda u: a.pdf(u) * b.cdf(u * values[0] / values[1]), zero, 1, points=[0.05, 0.1])[0]
    zero = contact / values[1]
    exact_b = quad(lambda u: b.pdf(u) * a.cdf(u * values[1] / values[0]), zero, 1, points=[0.05, 0.1])[0]
    many = PolicySettings(draws=65536)
    of = terms_beside([terms(values[0], contact=contact), terms(values[1], contact=contact)])
    drawn = Draws.beside([drawn_from("a", first, many), drawn_from("b", second, many)])
    share = thompson_share(of, drawn, np.array([[True, True]]))
    assert share[0] == pytest.approx([1 - exact_a - exact_b, exact_a, exact_b], abs=0.006)
    drawn = Draws.beside([drawn_from("a", first, USUAL), drawn_from("b", second, USUAL)])
    few = thompson_share(of, drawn, np.array([[True, True]]))
    assert few[0] == pytest.approx(share[0], abs=0.05)


def test_one_customer_and_a_batch_get_bit_identical_shares() -> None:
    rng = np.random.default_rng(1)
    customers = 700
    of = [terms(30.0), terms(rng.gamma(1, 40, customers), incentive=1.0, anyway=0.1), terms(25.0, lever=1.7)]
    drawn = Draws.beside([drawn_from(name, PriorBelief(2.0, 60.0), USUAL) for name in "abc"])
    eligible = rng.random((customers, 3)) < 0.7
    batch = thompson_share(terms_beside(of), drawn, eligible)
    for row in range(0, customers, 13):
        own = [ActionTerms(t.value[[row]] if len(t.value) > 1 else t.value, *_rest(t)) for t in of]
        assert thompson_share(terms_beside(own), drawn, eligible[[row]])[0].tolist() == batch[row].tolist()
    assert np.all(batch[:, 1:][~eligible] == 0)
    assert batch.sum(axis=1).tolist() == [1.0] * customers


def _rest(of: ActionTerms) -> tuple[float, float, float, float]:
    return of.lever, of.contact, of.incentive, of.taken_anyway


def test_greedy_takes_the_best_that_is_worth_more_than_nothing() -> None:
    value = np.array([[1.0, 2.0], [2.0, 1.0], [-1.0, -2.0], [0.0, -1.0], [np.nan, 0.5], [1.0, 1.0]])
    eligible = np.array([[True, True], [False, True], [True, True], [True, True], [False, True], [True, True]])
    assert greedy_choice(value, eligible).tolist() == [2, 2, 0, 0, 2, 1]


def test_the_probabilities_are_the_mixture() -> None:
    share = np.array([[0.5, 0.25, 0.25, 0.0]])
    found = choice_probabilities(np.array([2]), share, np.array([[True, True, False]]), USUAL)
    spread = 0.02 / 3
    assert found[0] == pytest.approx([0.075 + spread, 0.0375 + spread, 0.83 + 0.0375 + spread, 0.0], abs=1e-15)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(1, 20), st.floats(0, 0.6), st.floats(0, 0.4), st.integers(0, 2**32 - 1))
def test_the_probabilities_sum_to_one_and_vanish_outside(actions: int, t: float, f: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    chosen = PolicySettings(thompson=t, uniform=f, draws=64)
    eligible = rng.random((30, actions)) < 0.5
    of = [terms(rng.gamma(1, 40, 30)) for _ in range(actions)]
    drawn = [drawn_from(str(i), PriorBelief(1.0 + i, 40.0), chosen) for i in range(actions)]
    values = np.stack([incremental_value(np.array([(1 + i) / (41 + i)]), of[i]).total for i in range(actions)], axis=1)
    share = thompson_share(terms_beside(of), Draws.beside(drawn), eligible)
    found = choice_probabilities(greedy_choice(values, eligible), share, eligible, chosen)
    assert np.abs(found.sum(axis=1) - 1).max() <= 1e-12
    assert np.all(found[:, 1:][~eligible] == 0)
    assert found.min() >= 0
    assert np.all(found[:, 0] >= f / (actions + 1) - 1e-15)


def test_draws_over_decision_ids_follow_the_probabilities() -> None:
    probabilities = np.array([0.83, 0.1, 0.05, 0.0, 0.02])
    count = 100_000
    seeds = [seed_of(f"decision-{number}", USUAL) for number in range(count)]
    chosen = draw(np.tile(probabilities, (count, 1)), seeds)
    observed = np.bincount(chosen, minlength=5)
    assert observed[3] == 0
    kept = probabilities > 0
    assert stats.chisquare(observed[kept], probabilities[kept] * count).pvalue > 0.001


def test_a_draw_depends_on_its_own_row_and_seed_only() -> None:
    probabilities = np.random.default_rng(2).dirichlet(np.ones(4), 50)
    seeds = [seed_of(str(number), USUAL) for number in range(50)]
    batch = draw(probabilities, seeds).tolist()
    assert [int(draw(probabilities[[row]], [seeds[row]])[0]) for row in range(50)] == batch
    assert draw(probabilities, seeds).tolist() == batch


def test_a_point_in_the_gap_below_one_takes_the_last_possible_candidate() -> None:
    short = np.array([[0.5, 0.5 - 1e-13, 0.0]])
    assert draw(short, [2**53 - 1]).tolist() == [1]
    assert draw(np.array([[0.0, 1.0]]), [0]).tolist() == [1]


def test_the_seed_is_a_json_number_and_depends_on_the_salt() -> None:
    seeds = [seed_of(str(number), USUAL) for number in range(1000)]
    assert max(seeds) < 2**53
    assert len(set(seeds)) == 1000
    assert seed_of("1", PolicySettings(salt="other")) != seeds[1]
    assert seed_of("1", USUAL) == seeds[1]


def test_the_version_names_settings_and_catalogue_and_hides_the_salt() -> None:
    version = USUAL.version("ab" * 32)
    assert version.startswith("greedy-thompson-uniform/1/t=0.15,f=0.02,n=512,s=")
    assert version.endswith("/abababababab")
    assert PolicySettings(salt="secret").version("ab" * 32) != version
    assert "secret" not in PolicySettings(salt="secret").version("ab" * 32)
    assert PolicySettings(thompson=0.1).version("ab" * 32) != version


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"thompson": 0.9, "uniform": 0.2}, "together more than 1"),
        ({"draws": 500}, "not a power of two"),
        ({"uniform": -0.1}, "greater than or equal to 0"),
        ({"tompson": 0.1}, "Extra inputs"),
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, float], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        PolicySettings(**wrong)  # type: ignore[arg-type]
