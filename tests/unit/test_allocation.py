"""Who gets what by hand, limits that hold, the distance to the exact optimum, and what the prices mean."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.allocation import exact_optimum, greedy_by_return, made_up, total
from kernel.errors import DataError, ForesightError, UsageError
from serving.decisioning import allocation_prices
from serving.decisioning.allocation import Allocation, allocate, gain_interval
from serving.decisioning.allocation_cases import cases_at
from serving.decisioning.allocation_problem import CampaignProblem, Prices, best_choice
from serving.decisioning.allocation_repair import within_limits
from serving.decisioning.pilot import pilot_days, pilot_size

NAN = float("nan")


def table(*rows: list[float]) -> Any:
    return np.array(rows, dtype=np.float64)


def check_limits(problem: CampaignProblem, found: Allocation) -> None:
    """Counted anew from the choices alone."""
    spent, used = 0.0, [0] * problem.actions
    for customer, number in enumerate(found.chosen.tolist()):
        if number:
            assert problem.value[customer, number - 1] > 0
            spent += float(problem.costs[customer, number - 1])
            used[number - 1] += 1
    assert found.used.tolist() == used
    assert found.spent == pytest.approx(spent)
    if problem.budget is not None:
        assert spent <= problem.budget * (1 + 1e-9)
    if problem.capacity is not None:
        assert (found.used <= problem.capacity).all()
    if problem.channel is not None and problem.channel_capacity is not None:
        by_channel = np.bincount(problem.channel, used, problem.channels)
        assert found.used_channels.tolist() == by_channel.tolist()
        assert (by_channel <= problem.channel_capacity).all()
    assert found.value == pytest.approx(total(problem, found.chosen))
    assert found.value <= found.bound
    assert [why == "" for why in found.why] == (found.chosen > 0).tolist()


class TestByHand:
    def test_without_limits_everybody_gets_the_best(self) -> None:
        found = allocate(CampaignProblem(table([3, 5], [4, 1], [-1, -2], [NAN, 2]), np.array([1.0, 2.0])))
        assert found.chosen.tolist() == [2, 1, 0, 2]
        assert (found.value, found.spent, found.bound, found.gap) == (11.0, 5.0, 11.0, 0.0)
        assert (found.prices.budget, found.prices.capacity.tolist()) == (0.0, [0.0, 0.0])
        assert found.why.tolist() == ["", "", "not_worth_it", ""]

    def test_the_call_goes_where_the_second_best_is_worst(self) -> None:
        # One call: 10 instead of 9 for the first, 8 instead of 1 for the second.
        problem = CampaignProblem(table([10, 9], [8, 1]), np.zeros(2), capacity=np.array([1.0, np.inf]))
        found = allocate(problem)
        assert found.chosen.tolist() == [2, 1]
        assert found.value == found.bound == 17.0
        assert 1.0 - 1e-9 <= found.prices.capacity[0] <= 7.0 + 1e-9

    def test_a_budget_goes_to_the_best_return(self) -> None:
        problem = CampaignProblem(table([6.0], [5.0], [4.0]), table([3.0], [1.0], [1.0]), budget=2.0)
        found = allocate(problem)
        assert found.chosen.tolist() == [0, 1, 1]
        assert found.spent == 2.0
        assert 2.0 - 1e-9 <= found.prices.budget <= 4.0 + 1e-9
        assert found.why.tolist() == ["budget", "", ""]

    def test_a_return_is_not_enough_where_a_customer_gets_one_action(self) -> None:
        # By return on cost the cheap action comes first and blocks the dear one, for which there is money.
        problem = CampaignProblem(table([2.0, 10.0]), np.array([1.0, 6.0]), budget=6.0)
        assert greedy_by_return(problem).tolist() == [1]
        assert allocate(problem).chosen.tolist() == [2]

    def test_why_names_the_limit(self) -> None:
        # Equal offers through channel 0: two contacts at most. Action 3 has no channel limit, but one place.
        value = table([9, 8, NAN], [8, 7, NAN], [2, 1, NAN], [NAN, NAN, 5], [NAN, NAN, 4], [NAN, NAN, NAN], [-1, 0, -3])
        problem = CampaignProblem(
            value,
            np.zeros(3),
            capacity=np.array([np.inf, np.inf, 1.0]),
            channel=np.array([0, 0, 1]),
            channel_capacity=np.array([2.0, np.inf]),
        )
        found = allocate(problem)
        assert found.chosen.tolist() == [1, 1, 0, 3, 0, 0, 0]
        assert found.why.tolist() == ["", "", "channel:0", "", "capacity:3", "not_eligible", "not_worth_it"]
        assert 2.0 - 1e-9 <= found.prices.channel[0] <= 8.0 + 1e-9
        assert found.used_channels.tolist() == [2, 1]

    def test_a_budget_that_its_sum_meets_but_for_rounding(self) -> None:
        assert 0.1 + 0.1 + 0.1 > 0.3
        found = allocate(CampaignProblem(table([1.0], [1.0], [1.0], [1.0]), np.array([0.1]), budget=0.3))
        assert np.count_nonzero(found.chosen) == 3

    def test_a_fraction_of_a_place_is_none(self) -> None:
        found = allocate(CampaignProblem(table([1.0], [2.0]), np.zeros(1), capacity=np.array([1.9])))
        assert (found.chosen.tolist(), found.bound) == ([0, 1], 2.0)

    def test_equal_values_at_other_costs_are_other_cases(self) -> None:
        found = allocate(CampaignProblem(table([5.0], [5.0], [5.0]), table([1.0], [2.0], [4.0]), budget=3.0))
        assert found.chosen.tolist() == [1, 1, 0]
        assert found.bound == pytest.approx(10.0)

    def test_why_is_the_limit_that_charges_most_though_another_is_full_too(self) -> None:
        # Two places, both taken; but money is what is dear: 7 or 8 for a unit, where a place is worth .9 to 2.
        value = table([10.0, NAN], [9.0, NAN], [8.9, NAN], [NAN, 8.0], [NAN, 7.0])
        found = allocate(CampaignProblem(value, np.ones(2), budget=3.0, capacity=np.array([2.0, np.inf])))
        assert found.chosen.tolist() == [1, 1, 0, 2, 0]
        assert found.used[0] == 2
        assert found.prices.capacity[0] > 0
        assert found.why.tolist() == ["", "", "budget", "", "budget"]

    def test_a_pair_of_moves_where_no_single_one_fits(self) -> None:
        # 6 + 0 for a cost of 4 can only become 4 + 4 by two moves at once.
        problem = CampaignProblem(table([6.0, 4.0], [4.0, 4.0]), np.array([4.0, 2.0]), budget=4.0)
        assert within_limits(problem, Prices(1.5, np.zeros(2), np.zeros(0)), np.array([1, 0])).tolist() == [2, 2]


class TestEdges:
    def test_one_customer(self) -> None:
        found = allocate(CampaignProblem(table([2.0, 3.0]), np.array([1.0, 1.0]), budget=1.0, capacity=np.ones(2)))
        assert (found.chosen.tolist(), found.value) == ([2], 3.0)

    def test_no_customers_and_no_actions(self) -> None:
        for shape in ((0, 2), (3, 0), (0, 0)):
            found = allocate(CampaignProblem(np.zeros(shape), np.zeros(shape[1]), 1.0, np.ones(shape[1])))
            assert found.chosen.tolist() == [0] * shape[0]
            assert (found.value, found.bound, found.gap) == (0.0, 0.0, 0.0)

    def test_nobody_is_eligible(self) -> None:
        found = allocate(CampaignProblem(np.full((3, 2), NAN), np.ones(2), budget=1.0, capacity=np.ones(2)))
        assert found.chosen.tolist() == [0, 0, 0]
        assert found.why.tolist() == ["not_eligible"] * 3

    def test_zero_budget_buys_only_what_is_free(self) -> None:
        found = allocate(CampaignProblem(table([5.0, 1.0], [4.0, NAN]), np.array([2.0, 0.0]), budget=0.0))
        assert found.chosen.tolist() == [2, 0]
        assert found.why.tolist() == ["", "budget"]
        assert found.prices.budget >= 2.0 - 1e-9  # one more unit would buy half a contact of 4

    def test_zero_capacity(self) -> None:
        found = allocate(CampaignProblem(table([5.0], [4.0]), np.array([2.0]), capacity=np.zeros(1)))
        assert found.chosen.tolist() == [0, 0]
        assert found.why.tolist() == ["capacity:1", "capacity:1"]
        assert found.prices.capacity[0] >= 5.0 - 1e-9

    def test_more_places_than_customers_have_no_price(self) -> None:
        found = allocate(CampaignProblem(table([5.0], [4.0]), np.array([2.0]), budget=4.0, capacity=np.array([2.0])))
        assert found.chosen.tolist() == [1, 1]
        assert (found.prices.budget, found.prices.capacity.tolist()) == (0.0, [0.0])

    def test_many_equal_customers(self) -> None:
        # Priors of the catalogue: the same value for everybody. Places and money are used up to the last.
        value = np.tile([1.0, 2.0], (5_000, 1))
        value[::5, 1] = NAN
        problem = CampaignProblem(value, np.array([1.0, 3.0]), budget=3_000.0, capacity=np.array([2_100.0, np.inf]))
        found = allocate(problem)
        check_limits(problem, found)
        assert found.used.tolist() == [2_100, 300]
        assert found.value == pytest.approx(found.bound, rel=1e-9)

    def test_when_the_programme_fails_the_limits_still_hold(self, monkeypatch: pytest.MonkeyPatch) -> None:
        problem = made_up(500, 1)
        optimum = exact_optimum(problem)
        monkeypatch.setattr(allocation_prices, "linprog", lambda *_, **__: SimpleNamespace(success=False))
        found = allocate(problem)
        check_limits(problem, found)
        assert 0 < found.value <= optimum <= found.bound * (1 + 1e-9)
        # Without prices, the reason is a limit that is used up.
        full = {f"capacity:{number}" for number in 1 + np.flatnonzero(found.used == problem.capacity)}
        assert full & set(found.why.tolist())
        assert set(found.why.tolist()) <= full | {"", "budget", "not_eligible", "not_worth_it"}


@st.composite
def problems(draw: st.DrawFn, customers: int = 25, actions: int = 4) -> CampaignProblem:
    rows, columns = draw(st.integers(1, customers)), draw(st.integers(1, actions))
    chance = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    value = chance.choice([chance.normal(1, 3, (rows, columns)).round(1), chance.lognormal(0, 2, (rows, columns))])
    value[chance.random(value.shape) < 0.2] = NAN
    cost = chance.uniform(0, 3, (rows, columns) if draw(st.booleans()) else columns).round(draw(st.integers(0, 3)))
    channels = draw(st.integers(0, 2))
    places = np.append(np.arange(rows + 1), np.inf)
    return CampaignProblem(
        value,
        cost,
        budget=draw(st.none() | st.floats(0, 10)),
        capacity=chance.choice(places, columns) if draw(st.booleans()) else None,
        channel=chance.integers(0, channels, columns) if channels else None,
        channel_capacity=chance.choice(places, channels) if channels else None,
    )


@given(problems())
@settings(max_examples=150, deadline=None)
def test_no_limit_is_exceeded_and_nothing_more_fits(problem: CampaignProblem) -> None:
    found = allocate(problem)
    check_limits(problem, found)
    room = np.inf if problem.budget is None else problem.budget - found.spent
    left = problem.places - problem.uses @ found.used
    for row in np.flatnonzero(found.chosen == 0):
        for action in np.flatnonzero(problem.worth[row] > 0):
            assert problem.costs[row, action] > room - 1e-9 or (left[problem.uses[:, action]] < 1).any()


@given(problems(customers=4, actions=2))
@settings(max_examples=60, deadline=None)
def test_the_bound_holds_for_the_best_of_all_allocations(problem: CampaignProblem) -> None:
    best = 0.0
    for chosen in product(range(problem.actions + 1), repeat=problem.customers):
        numbers = np.array(chosen)
        taken = np.flatnonzero(numbers)
        used = np.bincount(numbers, minlength=problem.actions + 1)[1:]
        spent = problem.costs[taken, numbers[taken] - 1].sum()
        if (problem.budget is None or spent <= problem.budget) and (problem.uses @ used <= problem.places).all():
            best = max(best, float(problem.worth[taken, numbers[taken] - 1].sum()))
    found = allocate(problem)
    assert found.value <= best * (1 + 1e-9) + 1e-9
    assert best <= found.bound * (1 + 1e-9) + 1e-9


class TestBesideTheOptimum:
    @pytest.mark.parametrize("seed", range(12))
    def test_a_thousand_customers(self, seed: int) -> None:
        problem = made_up(1_000, seed)
        found, optimum = allocate(problem), exact_optimum(problem)
        check_limits(problem, found)
        assert found.prices.budget > 0
        assert np.count_nonzero(found.prices.capacity) >= 1
        assert 1 - found.value / optimum <= 0.002
        assert found.bound == pytest.approx(optimum, rel=2e-6)
        assert found.value > 1.02 * total(problem, greedy_by_return(problem))

    @pytest.mark.parametrize("seed", range(3))
    def test_ten_thousand_customers(self, seed: int) -> None:
        problem = made_up(10_000, seed)
        found, optimum = allocate(problem), exact_optimum(problem)
        check_limits(problem, found)
        assert 1 - found.value / optimum <= 0.0002
        assert found.bound == pytest.approx(optimum, rel=2e-6)
        assert found.value > 1.02 * total(problem, greedy_by_return(problem))

    def test_costs_of_each_customer_and_channels(self) -> None:
        plain = made_up(5_000, 7)
        chance = np.random.default_rng(7)
        problem = replace(
            plain,
            cost=plain.cost * chance.lognormal(0.0, 0.3, plain.value.shape),
            channel=np.arange(10) // 4,
            channel_capacity=np.array([120.0, 250.0, np.inf]),
        )
        found, optimum = allocate(problem), exact_optimum(problem)
        check_limits(problem, found)
        assert found.prices.channel[0] > 0
        assert found.prices.channel[2] == 0.0
        assert 1 - found.value / optimum <= 0.0004
        assert found.bound == pytest.approx(optimum, rel=2e-6)

    def test_values_in_whole_money_that_tie(self) -> None:
        plain = made_up(10_000, 2)
        problem = replace(plain, value=plain.value.round())
        found, optimum = allocate(problem), exact_optimum(problem)
        check_limits(problem, found)
        assert 1 - found.value / optimum <= 0.0002

    def test_equal_problems_equal_allocations(self) -> None:
        one, other = allocate(made_up(3_000, 4)), allocate(made_up(3_000, 4))
        assert one.chosen.tolist() == other.chosen.tolist()
        assert (one.value, one.bound, one.prices.budget) == (other.value, other.bound, other.prices.budget)
        assert one.why.tolist() == other.why.tolist()

    def test_money_in_another_unit_changes_nothing(self) -> None:
        plain = made_up(3_000, 5)
        large = replace(plain, value=plain.value * 1e6, cost=plain.cost * 1e3, budget=1e3 * (plain.budget or 0.0))
        one, other = allocate(plain), allocate(large)
        assert other.value == pytest.approx(1e6 * one.value, rel=2e-4)
        assert other.prices.budget == pytest.approx(1e3 * one.prices.budget, rel=1e-3)


@pytest.fixture(scope="module")
def problem() -> CampaignProblem:
    return made_up(2_500, 3)


@pytest.fixture(scope="module")
def found(problem: CampaignProblem) -> Allocation:
    return allocate(problem)


class TestPrices:
    def test_of_the_budget(self, problem: CampaignProblem, found: Allocation) -> None:
        # The optimum is concave in each limit: the price lies between what a unit less costs and one more brings.
        budget, step = problem.budget or 0.0, 1.0
        less, here, more = (exact_optimum(replace(problem, budget=budget + of)) for of in (-step, 0.0, step))
        assert more - here - 2e-6 * here <= found.prices.budget * step <= here - less + 2e-6 * here
        assert more - here == pytest.approx(found.prices.budget * step, rel=0.05)

    def test_of_a_capacity(self, problem: CampaignProblem, found: Allocation) -> None:
        capacity = problem.capacity
        assert capacity is not None
        binding = np.flatnonzero(found.prices.capacity > 0)
        for action in binding[:3]:
            one = np.eye(problem.actions)[action]
            less, here, more = (exact_optimum(replace(problem, capacity=capacity + of * one)) for of in (-1, 0, 1))
            price = float(found.prices.capacity[action])
            assert more - here - 2e-6 * here <= price <= here - less + 2e-6 * here

    def test_one_customer_at_these_prices_gets_the_same(self, problem: CampaignProblem, found: Allocation) -> None:
        alone = [
            int(best_choice(CampaignProblem(row[None], problem.cost).surplus(_of(found.prices)))[0])
            for row in problem.value
        ]
        assert alone == best_choice(problem.surplus(found.prices)).tolist()
        # Those that the programme splits, and the repair of what the split leaves.
        assert np.count_nonzero(np.array(alone) != found.chosen) <= 2 * (1 + problem.actions)

    def test_what_is_cut_off_below_zero(self, problem: CampaignProblem, found: Allocation) -> None:
        surplus = problem.surplus(found.prices)
        assert np.isneginf(surplus[~(problem.value > 0)]).all()
        assert found.bound == pytest.approx(
            found.prices.budget * (problem.budget or 0.0)
            + float(found.prices.capacity @ np.where(np.isfinite(problem.places), problem.places, 0.0))
            + float(np.maximum(surplus.max(axis=1), 0.0).sum())
        )


def _of(prices: Prices) -> Prices:
    """The same without channels: one customer's problem names none."""
    return Prices(prices.budget, prices.capacity, np.zeros(0))


def test_cases_keep_the_means_of_the_clear_and_all_choices_of_the_doubtful() -> None:
    worth = table([0, 1.0, 5], [0, 1, 5], [0, 3, 9], [0, 3, 13], [0, -np.inf, -np.inf])
    surplus = worth - np.array([0.0, 1.0, 4.0])  # margins 1, 1, 3, 7 and none
    cases = cases_at(surplus, worth, np.array([0.0, 2.0, 3.0]), doubts=1)
    assert cases.margin.tolist() == [1.0, 1.0, 3.0, 7.0, np.inf]
    assert cases.of[0] == cases.of[1] != cases.of[2]
    assert cases.size[cases.of].tolist() == [2, 2, 1, 1, 1]
    assert cases.open[cases.of[0]].tolist() == [True, True, True]
    assert cases.open[cases.of[3]].tolist() == [False, True, True]
    assert cases.worth[cases.of[3]].tolist() == [0.0, 3.0, 13.0]
    assert cases.cost[cases.of[3]].tolist() == [0.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("error", "words", "changed"),
    [
        (DataError, "no table", {"value": np.zeros(3)}),
        (DataError, "'cost' has the shape", {"cost": np.zeros(3)}),
        (DataError, "'capacity' has the shape", {"capacity": np.zeros(3)}),
        (DataError, "'channel' has the shape", {"channel": np.zeros(3, np.int64), "channel_capacity": np.ones(1)}),
        (DataError, "value is infinite", {"value": table([np.inf, 1.0])}),
        (DataError, "cost is missing", {"cost": np.array([NAN, 1.0])}),
        (DataError, "cost is missing", {"cost": np.array([-1.0, 1.0])}),
        (UsageError, "budget is below 0", {"budget": -1.0}),
        (UsageError, "budget is below 0", {"budget": NAN}),
        (UsageError, "'capacity' is below 0", {"capacity": np.array([-1.0, 1.0])}),
        (
            UsageError,
            "'channel_capacity' is below 0",
            {"channel": np.zeros(2, np.int64), "channel_capacity": -np.ones(1)},
        ),
        (UsageError, "Only one of 'channel'", {"channel": np.zeros(2, np.int64)}),
        (UsageError, "has no capacity", {"channel": np.array([0, 1]), "channel_capacity": np.ones(1)}),
    ],
)
def test_what_is_no_problem(error: type[ForesightError], words: str, changed: dict[str, Any]) -> None:
    with pytest.raises(error, match=words):
        replace(CampaignProblem(table([1.0, 2.0]), np.ones(2)), **changed)


class TestGainInterval:
    VALUE = table([4.0, NAN], [2.0, 6.0], [NAN, 5.0])
    EFFECT_VALUE = table([100.0, NAN], [50.0, 80.0], [NAN, 60.0])
    CHOSEN = np.array([1, 1, 2])

    def test_customers_of_an_action_share_its_error(self) -> None:
        # Errors of 150 x .01 and 60 x .03 of two separate trials: 1.5 and 1.8.
        found = gain_interval(self.VALUE, self.CHOSEN, self.EFFECT_VALUE, np.array([0.01, 0.03]))
        reach = 1.6448536269514722 * (1.5**2 + 1.8**2) ** 0.5
        assert found.expected == 11.0
        assert (found.low, found.high) == pytest.approx((11.0 - reach, 11.0 + reach))

    def test_a_common_control_group_makes_it_wider(self) -> None:
        found = gain_interval(
            self.VALUE, self.CHOSEN, self.EFFECT_VALUE, np.array([0.01, 0.03]), confidence=0.5, correlation=0.5
        )
        reach = 0.6744897501960817 * (1.5**2 + 1.8**2 + 1.5 * 1.8) ** 0.5
        assert found.high - found.expected == pytest.approx(reach)

    def test_nobody_chosen(self) -> None:
        found = gain_interval(self.VALUE, np.zeros(3, np.int64), self.EFFECT_VALUE, np.array([0.01, 0.03]))
        assert (found.expected, found.low, found.high) == (0.0, 0.0, 0.0)

    @pytest.mark.parametrize(
        ("error", "errors", "given"),
        [
            (DataError, np.zeros(3), {}),
            (DataError, np.array([0.1, NAN]), {}),
            (UsageError, np.zeros(2), {"confidence": 1.0}),
            (UsageError, np.zeros(2), {"correlation": -0.1}),
        ],
    )
    def test_refused(self, error: type[ForesightError], errors: Any, given: dict[str, float]) -> None:
        with pytest.raises(error):
            gain_interval(self.VALUE, self.CHOSEN, self.EFFECT_VALUE, errors, **given)


class TestPilot:
    def test_the_example_of_r(self) -> None:
        # power.prop.test(p1 = .50, p2 = .75, power = .90): n = 76.7 in each group
        assert pilot_size(0.5, 0.25, power=0.9) == 2 * 77

    def test_a_small_lift_takes_many(self) -> None:
        # z: 1.959964 and .841621; (1.959964 sqrt(2 x .055 x .945) + .841621 sqrt(.05 x .95 + .06 x .94))^2 / .01^2
        assert pilot_size(0.05, 0.01) == 2 * 8_158

    def test_unequal_groups_as_fleiss_has_them(self) -> None:
        # r treated for each control: m = (z sqrt((r + 1) P Q) + z' sqrt(r p q + p' q'))^2 / (r d^2), m controls
        r, p, q = 4.0, 0.10, 0.13
        mean = (p + r * q) / (r + 1)
        root = (
            1.9599639845 * ((r + 1) * mean * (1 - mean)) ** 0.5 + 0.8416212336 * (r * p * (1 - p) + q * (1 - q)) ** 0.5
        )
        controls = root**2 / (r * 0.03**2)
        size = pilot_size(p, 0.03, share_control=0.2)
        assert size == np.ceil(controls) + np.ceil(r * controls)
        assert size > pilot_size(p, 0.03)

    def test_the_sizes_find_the_lift_as_often_as_they_say(self) -> None:
        # The test itself, on outcomes that are drawn: 80 % of 4,000 pilots, and 5 % where there is nothing.
        half = pilot_size(0.2, 0.05) // 2
        chance = np.random.default_rng(0)
        control = chance.binomial(half, 0.2, 4_000) / half
        for rate, expected in ((0.25, 0.8), (0.2, 0.05)):
            treated = chance.binomial(half, rate, 4_000) / half
            pooled = (control + treated) / 2
            found = np.abs(treated - control) > 1.96 * np.sqrt(2 * pooled * (1 - pooled) / half)
            assert found.mean() == pytest.approx(expected, abs=0.02)

    def test_days(self) -> None:
        assert pilot_days(1_001, 100, 28) == 11 + 28
        assert pilot_days(0, 100, 28) == 28

    @pytest.mark.parametrize(
        ("rate", "lift", "given"),
        [(0.0, 0.1, {}), (0.9, 0.1, {}), (0.1, -0.1, {}), (0.1, 0.0, {}), (0.1, 0.1, {"power": 1.0}),
         (0.1, 0.1, {"confidence": 0.0}), (0.1, 0.1, {"share_control": 1.0})],
    )  # fmt: skip
    def test_refused_sizes(self, rate: float, lift: float, given: dict[str, float]) -> None:
        with pytest.raises(UsageError, match="size of a pilot"):
            pilot_size(rate, lift, **given)

    @pytest.mark.parametrize("given", [(10, 0.0, 1), (-1, 10.0, 1), (10, 10.0, -1)])
    def test_refused_days(self, given: tuple[int, float, int]) -> None:
        with pytest.raises(UsageError, match="size of a pilot"):
            pilot_days(*given)
