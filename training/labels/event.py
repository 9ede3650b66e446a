"""Any event: does the customer do it in the window?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import duckdb
import pandas as pd

from features.contract.profiles import Profiles
from kernel.errors import UsageError
from training.labels.window import LabelWindow, future_rows


@dataclass(frozen=True, slots=True)
class Event:
    """Outcomes of ``training.labels.label.Label``: a row of ``table`` for which the SQL condition ``where`` holds;
    ``setting`` is where the condition stands."""

    table: str
    where: str
    setting: str = "churn.event.where"

    def __call__(
        self, profiles: Profiles, customers: pd.Index, cutoff: datetime, window: LabelWindow, known_at: datetime
    ) -> pd.Series:
        """1.0 for a customer with such a row in the window, else 0.0; index = ``customers``.

        Raises:
            NotEnoughDataError: the window is not over at ``known_at``.
            UsageError: the condition cannot be read.
        """
        aggregate = f"count(*) FILTER ({self.where})"
        try:
            found = future_rows(profiles, aggregate, cutoff, window, known_at, table=self.table)
        except duckdb.Error as error:
            raise UsageError(
                f"The event's condition cannot be read: {str(error).splitlines()[0]}",
                where=self.setting,
                fix=f"Write a SQL condition on the columns of {self.table}, such as kind = 'complaint'.",
            ) from error
        return (found.reindex(customers).fillna(0.0) > 0).astype("float64").rename("happened")
