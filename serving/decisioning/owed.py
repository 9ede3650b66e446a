"""Messages that are owed to customers: given before anything is weighed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from serving.decisioning.action import MandatoryAction
from serving.decisioning.catalogue import Catalogue
from serving.decisioning.columns import Columns, Floats, Ints
from serving.decisioning.contact_policy import Rulings
from serving.decisioning.decision import Candidate
from serving.decisioning.explain import Explainers
from serving.decisioning.filters import Filtered, Filters
from serving.decisioning.offer import mandatory_candidates

NO_CONSENT = "no_consent"


@dataclass(frozen=True)
class Owed:
    """Each message against some customers.

    Attributes:
        messages: in the catalogue's order, with who may have it.
        first: number of the message that each customer gets, -1 for none, shape (customers,).
    """

    messages: Sequence[tuple[MandatoryAction, Filtered]]
    first: Ints

    @classmethod
    def to_profiled(cls, catalogue: Catalogue, day: date, columns: Columns, ruled: Rulings) -> Owed:
        """Of customers who may be profiled; contact limits do not count, cool-down and suppression do."""
        filters = Filters(day, columns, catalogue.permissions, ruled.without_limits())
        return cls._of(
            [(one, filters.apply(one, catalogue.stages[one.id])) for one in catalogue.mandatory], columns.rows
        )

    @classmethod
    def to_unprofiled(cls, catalogue: Catalogue, day: date, columns: Columns, ruled: Rulings) -> Owed:
        """Of customers who may not be profiled: only what chooses by nobody's behaviour. A channel with a permission is
        asked of the profile, so that it is closed."""
        closed = {name: dict.fromkeys(range(columns.rows), NO_CONSENT) for name in catalogue.permissions}
        filters = Filters(day, columns, {}, replace(ruled.without_limits(), channels=closed))
        open_to_all = [action for action in catalogue.mandatory if action.needs_no_consent]
        return cls._of([(one, filters.apply(one, ())) for one in open_to_all], columns.rows)

    @classmethod
    def _of(cls, messages: Sequence[tuple[MandatoryAction, Filtered]], rows: int) -> Owed:
        first = np.full(rows, -1, dtype=np.int64)
        for number, (_, filtered) in enumerate(messages):
            first[(first < 0) & filtered.eligible] = number
        return cls(messages, first)

    def settle(self, probabilities: Floats) -> None:
        """Where a message is owed, nothing else may be chosen; ``probabilities``: shape (customers, candidates)."""
        probabilities[self.first >= 0] = 0.0

    def candidates(self, language: str, explainers: Explainers) -> list[list[Candidate]]:
        """What is recorded of each message for each customer."""
        return [
            mandatory_candidates(action, filtered, self.first == number, language, explainers[action.id])
            for number, (action, filtered) in enumerate(self.messages)
        ]
