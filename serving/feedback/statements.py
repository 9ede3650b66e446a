"""What the store says to its database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Dialect, Table, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from kernel.direct_sql import Prepared
from serving.feedback.tables import ACTION_USE, CAMPAIGN_PRICES, DECISIONS, FEEDBACK, QUARANTINE


class Statements:
    """Put together once for one kind of database; the parameters are named like the columns."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self.new_decision = self._new(DECISIONS, "decision_id")
        self.new_feedback = self._new(FEEDBACK, "event_id")
        self.new_prices = self._new(CAMPAIGN_PRICES, "version")
        self.new_in_quarantine = self._new(QUARANTINE, "reason", "event_id", "digest")
        self.more_use = self._more_use()
        self.digest = Prepared(select(FEEDBACK.c.digest).where(FEEDBACK.c.event_id == bindparam("event_id")), dialect)
        self.content = Prepared(
            select(DECISIONS.c.content).where(DECISIONS.c.decision_id == bindparam("decision_id")), dialect
        )

    def _new(self, table: Table, *key: str) -> Prepared:
        statement = self._insert(table).on_conflict_do_nothing(index_elements=key)
        return Prepared(statement, self._dialect, [column.name for column in table.c if column.name != "number"])

    def _more_use(self) -> Prepared:
        statement = self._insert(ACTION_USE)
        added = {name: ACTION_USE.c[name] + statement.excluded[name] for name in ("decisions", "cost")}
        return Prepared(
            statement.on_conflict_do_update(index_elements=["action", "day"], set_=added),
            self._dialect,
            [column.name for column in ACTION_USE.c],
        )

    def _insert(self, table: Table) -> Any:
        return (postgresql if self._dialect.name == "postgresql" else sqlite).insert(table)
