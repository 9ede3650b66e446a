"""What does the allocation of a campaign cost beside an exact programme, and what does it gain over a ranking?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from benchmarks.measure import Figure, medians, seconds
from serving.decisioning.allocation import allocate
from serving.decisioning.allocation_problem import CampaignProblem
from serving.decisioning.columns import Floats, Ints

if TYPE_CHECKING:
    from benchmarks.data import Bench

ACTIONS = 10


def figures(
    bench: Bench, *, compared: tuple[int, ...] = (10_000, 50_000), customers: int = 100_000, repetitions: int = 3
) -> Iterator[Figure]:
    """Seconds beside HiGHS at the sizes ``compared``; value beside greedy by return on cost at ``customers``."""
    del bench
    for size in compared:
        yield _beside_exact(size, repetitions)
    yield from _beside_greedy(customers, repetitions)


def made_up(customers: int, seed: int = 0) -> CampaignProblem:
    """A campaign in which the budget and capacities bind: heavy-tailed margins, effects that differ by action and by
    customer and are below what they cost for most, three in ten not eligible. Limits are shares of what would be used
    without them."""
    chance = np.random.default_rng(seed)
    margin = chance.lognormal(3.0, 1.2, (customers, 1))
    effect = chance.normal(0.02, 0.03, (customers, ACTIONS)) + chance.normal(0.0, 0.01, (customers, 1))
    cost = chance.uniform(0.2, 5.0, ACTIONS).round(2)
    value = np.where(chance.random((customers, ACTIONS)) < 0.3, np.nan, effect * margin - cost)
    free = allocate(CampaignProblem(value, cost))
    capacity = np.ceil(free.used * chance.uniform(0.2, 0.9, ACTIONS))
    return CampaignProblem(value, cost, budget=0.45 * free.spent, capacity=capacity)


def greedy_by_return(problem: CampaignProblem) -> Ints:
    """What a ranking does: all contacts that are worth it by value per cost, each made if there is still room."""
    customer, action = np.nonzero(problem.worth > 0)
    cost = problem.costs[customer, action]
    with np.errstate(divide="ignore"):
        order = np.argsort(-problem.worth[customer, action] / cost, kind="stable")
    chosen = [0] * problem.customers
    places, uses = problem.places.tolist(), [np.flatnonzero(column).tolist() for column in problem.uses.T]
    left = np.inf if problem.budget is None else problem.budget
    rows = (customer[order].tolist(), action[order].tolist(), cost[order].tolist())
    for row, number, price in zip(*rows, strict=True):
        if chosen[row] or price > left or any(places[limit] < 1 for limit in uses[number]):
            continue
        chosen[row] = number + 1
        left -= price
        for limit in uses[number]:
            places[limit] -= 1
    return np.array(chosen, dtype=np.int64)


def total(problem: CampaignProblem, chosen: Ints) -> float:
    """The value of a choice, money."""
    taken = np.flatnonzero(chosen)
    return float(problem.value[taken, chosen[taken] - 1].sum())


def exact_optimum(problem: CampaignProblem) -> float:
    """The optimum of the linear relaxation by HiGHS with a row for each customer, money: the yardstick."""
    customer, action = np.nonzero(problem.worth > 0)
    wanted = np.arange(len(customer))
    each = sparse.csr_matrix((np.ones(len(wanted)), (customer, wanted)), shape=(problem.customers, len(wanted)))
    limited = np.isfinite(problem.places)
    parts: list[Floats] = [problem.uses[limited][:, action].astype(np.float64)]
    limits = [np.ones(problem.customers), problem.places[limited]]
    if problem.budget is not None:
        parts.append(problem.costs[customer, action][None])
        limits.append(np.array([problem.budget]))
    rows = sparse.vstack([each, sparse.csr_matrix(np.concatenate(parts))], format="csc")
    solved = linprog(
        -problem.worth[customer, action], A_ub=rows, b_ub=np.concatenate(limits), bounds=(0, None), method="highs"
    )
    assert solved.success, solved.message
    return -float(solved.fun)


def _beside_exact(customers: int, repetitions: int) -> Figure:
    problem = made_up(customers)
    found, optimum = allocate(problem), exact_optimum(problem)
    # The exact programme takes many seconds: once is enough beside the medians of ours.
    (ours,) = medians([lambda: allocate(problem)], repetitions)
    return Figure(
        "allocation",
        f"allocation of {customers:,} customers, {ACTIONS} actions, budget and capacities",
        "the exact linear programme (HiGHS)",
        ours,
        seconds(lambda: exact_optimum(problem)),
        "s",
        note=f"whole contacts, {1 - found.value / optimum:.5%} below the programme's optimum, which has fractions; "
        f"the gap it reports itself: {found.gap:.5%}",
    )


def _beside_greedy(customers: int, repetitions: int) -> Iterator[Figure]:
    problem = made_up(customers)
    found = allocate(problem)
    what, against = f"allocation of {customers:,} customers, {ACTIONS} actions", "greedy by return on cost"
    ours, greedy = medians([lambda: allocate(problem), lambda: greedy_by_return(problem)], repetitions)
    yield Figure("allocation", what, against, ours, greedy, "s", note=f"gap to the bound {found.gap:.5%}")
    value = total(problem, greedy_by_return(problem))
    yield Figure(
        "allocation",
        f"value of the {what}",
        against,
        found.value,
        value,
        "money",
        more_is_better=True,
        note=f"greedy loses {1 - value / found.value:.2%}; one more unit of budget is worth {found.prices.budget:.2f}",
    )
