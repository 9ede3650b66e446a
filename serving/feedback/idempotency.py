"""Answers that were given under a key of the client's, kept for a day: the same request again is answered the same."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import InterfaceError, OperationalError

from kernel.sql import writing
from serving.feedback.errors import unavailable
from serving.feedback.tables import KEPT_ANSWERS

KEPT_FOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class RequestKey:
    """What a client calls one request.

    Attributes:
        client: whose key it is; two clients may choose the same.
        key: the client's.
    """

    client: str
    key: str


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer, and the digest of the request that it answered."""

    request_digest: str
    status: int
    body: bytes


class KeptAnswers:
    """The answers of the last day; safe to use from several threads and processes on one database.

    An answer is kept after what it tells of: a crash in between leaves a request that is worked on once more, which
    changes nothing, for a decision's id follows from what was decided, and a feedback event has its own.
    """

    def __init__(self, engine: Callable[[], Engine]) -> None:
        """``engine``: the present one; the store opens another where its file was replaced."""
        self._engine = engine
        self._dialect = postgresql if engine().dialect.name == "postgresql" else sqlite

    def find(self, key: RequestKey, now: datetime) -> KeptAnswer | None:
        """The answer that was given under the key within the last day.

        Raises:
            StoreUnavailableError: the database does not answer.
        """
        with _told(), self._engine().connect() as connection:
            return _found(connection, key, now)

    def keep(self, key: RequestKey, answer: KeptAnswer, now: datetime) -> KeptAnswer:
        """Keep the answer, and forget those that are older than a day. Returns the one that is kept under the key:
        another process may have been quicker, and then its answer counts.

        Raises:
            StoreUnavailableError: the database does not answer; nothing was kept.
        """
        row = {
            "client": key.client,
            "key": key.key,
            "request_digest": answer.request_digest,
            "status": answer.status,
            "body": answer.body.decode(),
            "created_at": now,
        }
        statement = self._dialect.insert(KEPT_ANSWERS).on_conflict_do_nothing(index_elements=["client", "key"])
        with _told(), writing(self._engine()) as connection:
            connection.execute(delete(KEPT_ANSWERS).where(KEPT_ANSWERS.c.created_at <= now - KEPT_FOR))
            connection.execute(statement, row)
            return _found(connection, key, now) or answer


def _found(connection: Connection, key: RequestKey, now: datetime) -> KeptAnswer | None:
    columns = KEPT_ANSWERS.c
    query = select(columns.request_digest, columns.status, columns.body).where(
        columns.client == key.client, columns.key == key.key, columns.created_at > now - KEPT_FOR
    )
    row = connection.execute(query).first()
    return None if row is None else KeptAnswer(row.request_digest, row.status, row.body.encode())


@contextmanager
def _told() -> Generator[None]:
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        # The driver's message would repeat the statement with its values, so it goes no further.
        raise unavailable(error.orig or error) from None
