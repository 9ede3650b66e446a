"""A typed client of the scoring service; importing it loads none of the models' libraries.

```python
from foresight.client import Client

with Client("https://scores.example.com", api_key=key) as client:
    [score] = client.score("1746")
    [advice] = client.recommend("1746")
```
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from kernel.errors import ForesightError
from serving.http.problem_kinds import RETRIED
from serving.schemas import (
    ChangesAnswer,
    CustomerInsight,
    EventsInput,
    FeedbackAnswer,
    FeedbackRequest,
    FieldProblem,
    ProblemAnswer,
    ProfileInput,
    RecommendationAnswer,
    RecommendationRequest,
    ScoreAnswer,
    ScoreRequest,
)

Whom = str | Sequence[str] | ProfileInput
"""One customer by id, several by their ids, or a whole profile."""
_RETRIED = RETRIED | {HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT}
_FIRST_WAIT_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 30.0
_Answer = TypeVar("_Answer", bound=BaseModel)


class ProblemError(ForesightError):
    """The service refused, or failed.

    Attributes:
        status: the HTTP status.
        kind: the last word of the problem's type, such as ``not-found``; empty when it was no answer of the service.
        fields: which fields of the request are wrong, and why.
    """

    def __init__(self, status: int, kind: str, detail: str, fields: tuple[FieldProblem, ...], where: str) -> None:
        wrong = "; ".join(f"{field.field}: {field.message}" for field in fields)
        super().__init__(
            detail, where=where, fix=wrong or "See 'Errors' in docs/reference/api.md; the service's log has more."
        )
        self.status = status
        self.kind = kind
        self.fields = fields


class ServiceUnreachableError(ForesightError):
    """No answer came in time, however often it was tried."""

    def __init__(self, where: str) -> None:
        super().__init__(
            "The service did not answer.",
            where=where,
            fix="Check the address and whether the service runs; the same call is safe to make again.",
        )


class Client:
    """Calls one service. Threads may share it; close it, or use it in a ``with`` block.

    Every call is tried again after a lost connection or when the service is busy: reading changes nothing, and a write
    carries an ``Idempotency-Key``, so that it is done once.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        *,
        timeout: float = 10.0,
        retries: int = 3,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """A client that has not connected yet.

        Args:
            base_url: such as ``https://scores.example.com``.
            api_key: sent as ``X-API-Key``.
            timeout: seconds for each try: to connect, and between two pieces of an answer.
            retries: how often a call is tried again.
            transport: httpx's, such as one with a proxy.
        """
        headers = {"Accept": "application/json"} | ({"X-API-Key": api_key} if api_key else {})
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=timeout, transport=transport)
        self._retries = retries

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def score(
        self, whom: Whom, *, what_if: Mapping[str, float | str | None] | None = None, events: EventsInput | None = None
    ) -> tuple[CustomerInsight, ...]:
        """One insight for each customer, in the same order; nothing is kept.

        Args:
            whom: the customers.
            what_if: feature -> its value instead; for one customer only.
            events: what is not stored yet of one stored customer.

        Raises:
            ProblemError: the service refused, such as with ``not-found``.
            ServiceUnreachableError: no answer came.
            ValueError: an id that cannot be one.
        """
        request = ScoreRequest(**_whom(whom), what_if=None if what_if is None else dict(what_if), events=events)
        return self._post("/v1/score", request, ScoreAnswer).scores

    def recommend(
        self, whom: Whom, *, events: EventsInput | None = None, idempotency_key: str | None = None
    ) -> tuple[CustomerInsight, ...]:
        """One insight for each customer, in the same order, with its decision kept by the service.

        Args:
            whom: the customers.
            events: as in :meth:`score`.
            idempotency_key: for a call that another process may have made already; the default is a new one.

        Raises:
            ProblemError, ServiceUnreachableError, ValueError: as in :meth:`score`.
        """
        request = RecommendationRequest(**_whom(whom), events=events)
        return self._write("/v1/recommendations", request, RecommendationAnswer, idempotency_key).recommendations

    def record_feedback(self, event: FeedbackRequest, *, idempotency_key: str | None = None) -> FeedbackAnswer:
        """Have the service keep what became of a recommended action; when this returns, it is on disk.

        Raises:
            ProblemError, ServiceUnreachableError: as in :meth:`score`.
        """
        return self._write("/v1/feedback", event, FeedbackAnswer, idempotency_key)

    def customer(self, customer_id: str) -> CustomerInsight:
        """The insight of one stored customer; nothing is kept.

        Raises:
            ProblemError, ServiceUnreachableError: as in :meth:`score`.
        """
        return self._get("/v1/customers/", customer_id, CustomerInsight)

    def changes(self, customer_id: str) -> ChangesAnswer:
        """What would bring one stored customer into a lower churn band.

        Raises:
            ProblemError, ServiceUnreachableError: as in :meth:`score`.
        """
        return self._get("/v1/changes/", customer_id, ChangesAnswer)

    def _get(self, path: str, customer_id: str, answer: type[_Answer]) -> _Answer:
        return self._call(self._http.build_request("GET", path + quote(customer_id, safe="")), answer, path)

    def _post(self, path: str, body: BaseModel, answer: type[_Answer], key: str | None = None) -> _Answer:
        headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
        content = body.model_dump_json(exclude_none=True)
        return self._call(self._http.build_request("POST", path, content=content, headers=headers), answer, path)

    def _write(self, path: str, body: BaseModel, answer: type[_Answer], key: str | None) -> _Answer:
        return self._post(path, body, answer, key or str(uuid.uuid4()))

    def _call(self, request: httpx.Request, answer: type[_Answer], where: str) -> _Answer:
        for attempt in range(self._retries + 1):
            wait = random.uniform(0, _FIRST_WAIT_SECONDS * 2**attempt)
            error: ForesightError
            try:
                response = self._http.send(request)
            except httpx.TransportError:
                error = ServiceUnreachableError(where)
            else:
                if response.status_code == HTTPStatus.OK:
                    # A newer service may answer with fields that this client does not know.
                    return answer.model_validate_json(response.content, extra="ignore")
                error = _problem(response, where)
                asked = _retry_after(response)
                if not _is_passing(error) or asked > _LONGEST_WAIT_SECONDS:
                    raise error
                wait += asked
            if attempt == self._retries:
                raise error
            time.sleep(min(wait, _LONGEST_WAIT_SECONDS))
        raise AssertionError("unreachable")


def _whom(whom: Whom) -> dict[str, Any]:
    if isinstance(whom, str):
        return {"customer_id": whom}
    return {"profile": whom} if isinstance(whom, ProfileInput) else {"customer_ids": tuple(whom)}


def _is_passing(error: ProblemError) -> bool:
    """Whether the same call may be answered a moment later; an event that conflicts will not be."""
    return error.status in _RETRIED and error.kind != "event-conflict"


def _problem(response: httpx.Response, where: str) -> ProblemError:
    try:
        told = ProblemAnswer.model_validate_json(response.content, extra="ignore")
    except ValidationError:
        # Something in between answered: a proxy, another program.
        detail = f"The answer was {response.status_code} {response.reason_phrase}".strip() + "."
        return ProblemError(response.status_code, "", detail, (), where)
    return ProblemError(response.status_code, told.type.rpartition(":")[2], told.detail, told.errors, where)


def _retry_after(response: httpx.Response) -> float:
    """Seconds; 0 where the answer does not say, or says a date."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else 0.0
