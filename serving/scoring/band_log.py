"""The churn band that each customer had in the scores before: what keeps one at a limit from changing daily.

A row is written where a customer's band is another than before, by whoever writes scores (``foresight score``); whoever
scores reads what was written for earlier moments. So the same customer at the same moment has the same band everywhere.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property

from sqlalchemy import Column, Connection, MetaData, String, Table, bindparam, func, select

from kernel.direct_sql import Prepared, as_list, listed
from kernel.errors import ForesightError
from kernel.lazy_database import ProjectDatabase
from kernel.sql import UtcMoment, writing
from kernel.types import Band

_METADATA = MetaData()
_BANDS = Table(
    "churn_bands",
    _METADATA,
    Column("project", String(60), primary_key=True),
    Column("customer_id", String(200), primary_key=True),
    Column("as_of", UtcMoment, primary_key=True),
    Column("band", String(10), nullable=False),
)


class BandsUnavailableError(ForesightError):
    """The database does not answer; without it a band could be another than the one that was shown."""

    def __init__(self) -> None:
        super().__init__(
            "The bands of the scores before cannot be read or kept.",
            where="foresight.toml: state.url",
            fix="Try again; if it goes on, check the database of [state] url.",
        )


class BandLog(ProjectDatabase):
    """The bands of one project; safe to use from several threads and processes."""

    UNAVAILABLE = BandsUnavailableError

    def before(self, as_of: datetime, customer_ids: Sequence[str]) -> dict[str, Band]:
        """The last band of each of these customers before a moment; without those who had none.

        Raises:
            BandsUnavailableError: the database does not answer.
        """
        with self._reading(_BANDS.name) as look:
            if look is None:
                return {}
            rows = look.rows(
                self._before, {"of_project": self._project, "customers": as_list(customer_ids), "moment": as_of}
            )
        return {name: Band(band) for name, band in rows}  # in the order of time: the last one stays

    @cached_property
    def _before(self) -> Prepared:
        dialect = self._engine.dialect
        statement = (
            select(_BANDS.c.customer_id, _BANDS.c.band)
            .where(
                _BANDS.c.project == bindparam("of_project"),
                _BANDS.c.customer_id.in_(listed("customers", dialect)),
                _BANDS.c.as_of < bindparam("moment"),
            )
            .order_by(_BANDS.c.as_of)
        )
        return Prepared(statement, dialect)

    @contextmanager
    def recording(self, as_of: datetime) -> Generator[Recording]:
        """Keep the bands of new scores: all of them at the end, or none.

        Scores of a moment before the newest kept one leave nothing: what was decided later does not change.

        Raises:
            BandsUnavailableError: the database does not answer.
        """
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
        recording = Recording()
        yield recording
        with self._told(), writing(self._engine) as connection:
            _METADATA.create_all(connection)
            if self._newest(connection) > as_of:
                return
            here = (_BANDS.c.project == self._project) & (_BANDS.c.as_of == as_of)
            kept = connection.execute(select(_BANDS.c.customer_id, _BANDS.c.band).where(here))
            if {name: Band(band) for name, band in kept} == recording.changed:
                return  # the same scores again: nothing is written
            connection.execute(_BANDS.delete().where(here))
            rows = [
                {"project": self._project, "customer_id": name, "as_of": as_of, "band": band.value}
                for name, band in recording.changed.items()
            ]
            if rows:
                connection.execute(_BANDS.insert(), rows)

    def _newest(self, connection: Connection) -> datetime:
        newest = select(func.max(_BANDS.c.as_of)).where(_BANDS.c.project == self._project)
        return connection.execute(newest).scalar_one() or datetime.min.replace(tzinfo=UTC)


class Recording:
    """What scores say, as far as it is another band than before; ``changed``: customer -> band."""

    def __init__(self) -> None:
        self.changed: dict[str, Band] = {}

    def add(self, customer_ids: Sequence[str], bands: Sequence[Band | None], before: Mapping[str, Band]) -> None:
        """Scores of some customers, beside their bands before."""
        self.changed.update(
            (name, band)
            for name, band in zip(customer_ids, bands, strict=True)
            if band is not None and before.get(name) is not band
        )
