"""What the challengers said beside the champions, kept in the state's database to compare them; it is never shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime

import pandas as pd
from sqlalchemy import Column, Float, MetaData, String, Table, select
from sqlalchemy.dialects import postgresql, sqlite

from kernel.direct_sql import Prepared
from kernel.errors import ForesightError
from kernel.lazy_database import ProjectDatabase
from kernel.sql import UtcMoment, writing

_METADATA = MetaData()
_SHADOW = Table(
    "shadow_scores",
    _METADATA,
    Column("project", String(60), primary_key=True),
    Column("customer_id", String(200), primary_key=True),
    Column("as_of", UtcMoment, primary_key=True),
    Column("champions", String(400), primary_key=True),
    Column("challengers", String(400), primary_key=True),
    Column("scored_at", UtcMoment, nullable=False),
    Column("churn_probability", Float),
    Column("churn_probability_challenger", Float),
    Column("churn_band", String(10)),
    Column("churn_band_challenger", String(10)),
    Column("lifetime_value", Float),
    Column("lifetime_value_challenger", Float),
)


class ShadowUnavailableError(ForesightError):
    """The database does not answer."""

    def __init__(self) -> None:
        super().__init__(
            "What the challenger said cannot be read or kept.",
            where="foresight.toml: state.url",
            fix="Try again; if it goes on, check the database of [state] url.",
        )


@dataclass(frozen=True, slots=True)
class ShadowScore:
    """One customer, scored by both.

    Attributes:
        champions, challengers: the versions, such as ``churn/3 value/2``.
        scored_at: when the champions' answer was made.
    """

    customer_id: str
    as_of: datetime
    champions: str
    challengers: str
    scored_at: datetime
    churn_probability: float | None
    churn_probability_challenger: float | None
    churn_band: str | None
    churn_band_challenger: str | None
    lifetime_value: float | None
    lifetime_value_challenger: float | None


class ShadowLog(ProjectDatabase):
    """The comparisons of one project; safe to use from several threads and processes."""

    UNAVAILABLE = ShadowUnavailableError

    def keep(self, scores: Sequence[ShadowScore]) -> None:
        """Keep comparisons; a customer's at a moment by the same models counts once, however often it is asked for.

        Raises:
            ShadowUnavailableError: the database does not answer; none was kept.
        """
        insert = postgresql.insert if self._url.get_backend_name() == "postgresql" else sqlite.insert
        rows = [{"project": self._project, **asdict(score)} for score in scores]
        with self._told(), writing(self._engine) as connection:
            _METADATA.create_all(connection)
            connection.execute(insert(_SHADOW).on_conflict_do_nothing(), rows)

    def read(self) -> pd.DataFrame:
        """All comparisons, a row each, columns as in :class:`ShadowScore`, in the order in which they were made.

        Raises:
            ShadowUnavailableError: the database does not answer.
        """
        names = [field.name for field in fields(ShadowScore)]
        with self._reading(_SHADOW.name) as look:
            if look is None:
                return pd.DataFrame(columns=names)
            chosen = select(*(_SHADOW.c[name] for name in names)).where(_SHADOW.c.project == self._project)
            statement = Prepared(chosen.order_by(_SHADOW.c.scored_at), self._engine.dialect)
            return pd.DataFrame(look.rows(statement, {}), columns=names)
