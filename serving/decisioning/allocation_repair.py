"""From a choice at prices to an allocation within all limits: drop where too many, fill what is left."""

from __future__ import annotations

import numpy as np

from serving.decisioning.allocation_problem import CampaignProblem, Prices
from serving.decisioning.columns import Bools, Floats, Ints

ROUNDING = 1e-12  # of the budget: 0.1 + 0.1 + 0.1 fits into 0.3
GOOD_ENOUGH = 1e-5  # of the bound: nearer to it, no exchange is searched
LEAST_GAIN = 1e-6  # of the total: an exchange that adds less is not made
EXCHANGES = 100  # at most; a few are usual
EXCHANGED = 200  # moves that are tried in pairs, those that cost least at the prices


def within_limits(problem: CampaignProblem, prices: Prices, chosen: Ints) -> Ints:
    """A choice that exceeds no limit and leaves nothing unused that anybody gains by; shape (customers,).

    Args:
        problem: the campaign.
        prices: decide whom to drop and whom to add first.
        chosen: where to start from: numbers from 1, 0 for nothing, shape (customers,).
    """
    if problem.actions == 0:
        return chosen
    room = _Room(problem, prices, chosen)
    room.drop()
    room.fill()
    enough = (1 - GOOD_ENOUGH) * problem.bound(prices)
    for _ in range(EXCHANGES):
        if room.total() >= enough or not room.exchange():
            break
        room.fill()
    return room.chosen


class _Room:
    """An allocation on its way, and what is left of each limit.

    Attributes:
        chosen: number of each customer's action from 1, 0 for nothing; shape (customers,).
        money: left of the budget; infinite without one.
        places: left of the limits on contacts, in the order of the problem's ``places``.
    """

    def __init__(self, problem: CampaignProblem, prices: Prices, chosen: Ints) -> None:
        self.problem, self.chosen = problem, chosen.copy()
        self.surplus = problem.surplus(prices)
        self._settle()

    def _settle(self) -> None:
        """What is left, counted anew: sums that are carried along drift."""
        problem = self.problem
        used = np.bincount(self.chosen, minlength=problem.actions + 1)[1:]
        self.places = problem.places - problem.uses @ used
        budget = np.inf if problem.budget is None else problem.budget * (1 + ROUNDING)
        self.money = budget - float(self.of_own(problem.costs).sum())

    def of_own(self, table: Floats) -> Floats:
        """The entry of each customer's own choice, 0 for nothing; shape (customers,)."""
        taken = np.flatnonzero(self.chosen)
        own = np.zeros(len(self.chosen))
        own[taken] = table[taken, self.chosen[taken] - 1]
        return own

    def drop(self) -> None:
        """Take actions back from those with the least surplus until no limit is exceeded."""
        for limit in range(len(self.places)):
            if self.places[limit] < 0:
                among = np.append(False, self.problem.uses[limit])[self.chosen]
                held = self._least_first(among)
                self.chosen[held[: round(-self.places[limit])]] = 0
                self._settle()
        while self.money < 0:  # again where a sum of costs was off by its rounding
            costs = self.of_own(self.problem.costs)
            held = self._least_first(costs > 0)
            enough = int(np.searchsorted(np.cumsum(costs[held]), -self.money)) + 1
            self.chosen[held[:enough]] = 0
            self._settle()

    def _least_first(self, among: Bools) -> Ints:
        held = np.flatnonzero(among)
        return held[np.argsort(self.of_own(self.surplus)[held], kind="stable")]

    def fill(self) -> None:
        """Give to whom it adds value what they have room for, the largest surplus first, until nothing adds value.

        Every move raises the total, hence it ends; one customer moves once a turn, as many customers as have room.
        """
        while True:
            customers, actions = self._moves()
            if not len(customers):
                return
            self.chosen[customers] = actions
            self._settle()

    def _moves(self) -> tuple[Ints, Ints]:
        """Customers and their new actions, which fit together into what is left."""
        problem = self.problem
        extra = problem.costs - self.of_own(problem.costs)[:, None]
        own, own_surplus = self.of_own(problem.worth), self.of_own(self.surplus)
        fits = (problem.worth > own[:, None]) & (extra <= self.money) & self._free_places()[self.chosen]
        gained = np.where(fits, self.surplus - own_surplus[:, None], -np.inf)
        best = gained.argmax(axis=1)
        most = gained[np.arange(len(best)), best]
        movers = np.flatnonzero(np.isfinite(most))
        movers = movers[np.argsort(-most[movers], kind="stable")]
        for limit, left in enumerate(self.places):
            taken = problem.uses[limit, best[movers]] & ~np.append(False, problem.uses[limit])[self.chosen[movers]]
            movers = movers[~taken | (np.cumsum(taken) <= left)]
        # What a move frees counts from the next turn on.
        movers = movers[np.cumsum(np.maximum(extra[movers, best[movers]], 0.0)) <= self.money]
        return movers, best[movers] + 1

    def _free_places(self) -> Bools:
        """Whether a customer with a choice (row) finds a place in an action (column), shape (1 + actions, actions)."""
        uses = self.problem.uses
        held = np.concatenate([np.zeros((len(uses), 1), dtype=np.bool_), uses], axis=1)
        missing = (self.places < 1)[:, None, None] & ~held[:, :, None] & uses[:, None, :]
        return np.logical_not(missing.any(axis=0))

    def exchange(self) -> bool:
        """Make the pair of moves that together add most value and fit, one perhaps giving room to the other; whether
        there was one."""
        problem = self.problem
        open_to = np.concatenate([np.ones((problem.customers, 1), np.bool_), problem.worth > 0], axis=1)
        nothing = np.zeros((problem.customers, 1))
        loss = self.of_own(self.surplus)[:, None] - np.concatenate([nothing, self.surplus], axis=1)
        loss[~open_to] = np.inf
        loss[np.arange(len(loss)), self.chosen] = np.inf  # what it has is no move
        least = np.argpartition(loss, min(EXCHANGED, loss.size - 1), axis=None)[:EXCHANGED]
        customers, actions = np.divmod(least[np.isfinite(loss.flat[least])], problem.actions + 1)
        changes = [self._change(table, customers, actions) for table in (problem.worth, problem.costs)]
        value, cost = (one[:, None] + one for one in changes)
        fits = (cost <= self.money) & (customers[:, None] != customers)
        held = np.concatenate([np.zeros((len(self.places), 1), np.int64), problem.uses], axis=1)
        for left, holds in zip(self.places, held, strict=True):
            taken = holds[actions] - holds[self.chosen[customers]]
            fits &= taken[:, None] + taken <= left
        value = np.where(fits, value, -np.inf)
        if value.max(initial=-np.inf) <= LEAST_GAIN * self.total():
            return False
        pair = np.array(np.unravel_index(value.argmax(), value.shape))
        self.chosen[customers[pair]] = actions[pair]
        self._settle()
        return True

    def total(self) -> float:
        """The value of what is chosen."""
        return float(self.of_own(self.problem.worth).sum())

    def _change(self, table: Floats, customers: Ints, actions: Ints) -> Floats:
        """By how much each move changes the entry of its customer."""
        new = np.where(actions > 0, table[customers, actions - 1], 0.0)
        return new - self.of_own(table)[customers]
