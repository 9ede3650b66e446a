"""The prices of a campaign's limits: the dual of its linear relaxation, solved exactly on the customers in doubt.

At nearly right prices almost every customer has one choice that is clearly best. A linear programme over the others,
with the clear ones in bulk, gives better prices and new doubts; twice as many join it, until the bound of the prices
and the value of the programme meet. The first prices are those of a sample, found in the same way (sifting: Bixby,
Gregory, Lustig, Marsten & Shanno, Operations Research 40, 1992; the core of a knapsack: Balas & Zemel, ibid. 28, 1980).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from serving.decisioning.allocation_cases import Cases, cases_at
from serving.decisioning.allocation_problem import CampaignProblem, Prices
from serving.decisioning.columns import Floats, Ints

WHOLE = 2_000  # customers whose programme is solved as it is
SAMPLED = 8  # one customer in so many gives the first prices
CORE = 300  # distinct cases in doubt in the first programme, then twice as many
ROUNDS = 12
TOLERANCE = 1e-6  # of the bound: the prices are then as good as exact
_WHOLE_NUMBER = 1e-6  # HiGHS meets its constraints within 1e-7


def optimal_prices(problem: CampaignProblem) -> tuple[Prices, Ints]:
    """The prices with the least bound, and the linear programme's choice of each customer, rounded down: numbers from
    1, 0 for doing nothing, shape (customers,). Where the programme fails it is the best choice at the prices, which may
    exceed a limit."""
    relaxed, money, unit = _relaxed(problem)
    solution = _solve(relaxed)
    prices = np.zeros(1 + len(problem.places))
    prices[relaxed.rows] = solution.prices * money
    actions = problem.actions
    return Prices(float(prices[0] / unit), prices[1 : 1 + actions], prices[1 + actions :]), solution.chosen


@dataclass(frozen=True, slots=True)
class _Relaxed:
    """The linear relaxation. Doing nothing is choice 0, with no worth, cost or use; the limits that can bind are rows.

    Attributes:
        worth: minus infinity where not worth it, shape (customers, choices).
        cost: shape (choices,) or (customers, choices).
        uses: places that a contact takes of each row, 0 in the budget's, shape (rows, choices).
        limits: shape (rows,).
        rows: their numbers: 0 is the budget, then the limits on contacts; shape (rows,).
    """

    worth: Floats
    cost: Floats
    uses: Floats
    limits: Floats
    rows: Ints

    @property
    def by_cost(self) -> bool:
        """Whether the budget can bind: its row is then the first."""
        return 0 in self.rows

    def surplus(self, prices: Floats) -> Floats:
        """What is left of the worth at these prices, shape (customers, choices)."""
        charge = prices @ self.uses
        return self.worth - (charge + prices[0] * self.cost if self.by_cost else charge)

    def bound(self, prices: Floats, surplus: Floats) -> float:
        """What no allocation exceeds."""
        return float(prices @ self.limits + surplus.max(axis=1).sum())

    def sample(self) -> _Relaxed:
        """One customer in SAMPLED, and that share of each limit."""
        count = len(self.worth)
        # A fixed shuffle: the order of the customers may have a rhythm, and the same campaign must end the same.
        drawn = np.sort(np.random.default_rng(0).permutation(count)[: count // SAMPLED])
        cost = self.cost if self.cost.ndim == 1 else self.cost[drawn]
        return replace(self, worth=self.worth[drawn], cost=cost, limits=self.limits * (len(drawn) / count))


@dataclass(frozen=True, slots=True)
class _Solution:
    """Of one programme; ``value`` is that of its fractions, which ``chosen`` has rounded down."""

    prices: Floats
    chosen: Ints
    value: float


def _relaxed(problem: CampaignProblem) -> tuple[_Relaxed, float, float]:
    """The relaxation in units of a mean worth and a mean cost, as solvers like it, and these two units in money."""
    wanted = problem.worth > 0
    largest = float(np.where(wanted, problem.costs, 0.0).max(axis=1, initial=0.0).sum())
    money, unit = (float(of[wanted].mean()) if wanted.any() else 1.0 for of in (problem.worth, problem.costs))
    unit = unit or 1.0
    # A limit that all wanted contacts together would not reach has the price 0 and needs no row.
    rows = np.flatnonzero(problem.places < problem.uses @ wanted.sum(axis=0))
    uses, limits, numbers = problem.uses[rows].astype(np.float64), problem.places[rows], rows + 1
    if problem.budget is not None and problem.budget < largest:
        uses = np.concatenate([np.zeros((1, problem.actions)), uses])
        limits, numbers = np.append(problem.budget / unit, limits), np.append(0, numbers)
    nothing = np.zeros((problem.customers, 1))
    worth = np.concatenate([nothing, problem.worth / money], axis=1)
    cost = problem.cost / unit
    cost = np.append(0.0, cost) if cost.ndim == 1 else np.concatenate([nothing, cost], axis=1)
    uses = np.concatenate([np.zeros((len(limits), 1)), uses], axis=1)
    return _Relaxed(worth, cost, uses, limits, numbers), money, unit


def _solve(relaxed: _Relaxed) -> _Solution:
    whole = len(relaxed.worth) <= WHOLE
    prices = np.zeros(len(relaxed.limits)) if whole or not len(relaxed.limits) else _solve(relaxed.sample()).prices
    surplus = relaxed.surplus(prices)
    best = _Solution(prices, surplus.argmax(axis=1), -np.inf)
    least = relaxed.bound(prices, surplus)
    for turn in range(ROUNDS if len(prices) else 0):
        doubts = len(surplus) if whole else CORE << turn
        found = _programme(relaxed, cases_at(surplus, relaxed.worth, relaxed.cost, doubts))
        if found is None:
            break
        best = found if found.value > best.value else best
        at_found = relaxed.surplus(found.prices)
        bound = relaxed.bound(found.prices, at_found)
        if bound < least:
            least, prices, surplus = bound, found.prices, at_found
        if whole or least - best.value <= TOLERANCE * least:
            break
    return replace(best, prices=prices)


def _programme(relaxed: _Relaxed, cases: Cases) -> _Solution | None:
    """The programme in which each customer has the open choices of its case and nothing; None where it fails."""
    case, choice = np.nonzero(cases.open[:, 1:])
    choice += 1
    coupling = relaxed.uses[:, choice]
    if relaxed.by_cost:
        coupling[0] = cases.cost[case, choice]
    several = np.bincount(case, minlength=len(cases.size)) > 1  # one choice besides nothing needs no row but its bound
    own = np.flatnonzero(several[case])
    row = (np.cumsum(several) - 1)[case[own]]
    one_each = sparse.csr_matrix((np.ones(len(own)), (row, own)), shape=(np.count_nonzero(several), len(case)))
    solved = linprog(
        -cases.worth[case, choice],
        A_ub=sparse.vstack([sparse.csr_matrix(coupling), one_each], format="csc"),
        b_ub=np.concatenate([relaxed.limits, cases.size[several]]),
        bounds=np.stack([np.zeros(len(case)), cases.size[case]], axis=1),
        method="highs-ds",  # a vertex: few fractions
    )
    if not solved.success:
        return None
    prices = np.maximum(-solved.ineqlin.marginals[: len(relaxed.limits)], 0.0)
    members = np.lexsort((-cases.margin, cases.of))  # where a clear choice has no place for all, the clearest keep it
    chosen = np.empty_like(cases.of)
    chosen[members] = _dealt(case, choice, np.floor(solved.x + _WHOLE_NUMBER).astype(np.int64), cases.size)
    return _Solution(prices, chosen, -float(solved.fun))


def _dealt(case: Ints, choice: Ints, places: Ints, size: Ints) -> Ints:
    """The choices of all customers, case by case: each choice in as many places as it has, then nothing."""
    left = size - np.bincount(case, places, len(size)).astype(np.int64)
    order = np.argsort(np.append(case, np.arange(len(size))), kind="stable")
    return np.repeat(np.append(choice, np.zeros_like(size))[order], np.append(places, left)[order])
