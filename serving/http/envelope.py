"""The outermost layer: request id, one error shape, the count, log line and span of each request, all by its route's
template: a path may hold a customer's id."""

from __future__ import annotations

import re
import uuid
from time import perf_counter

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.deployment import Slot
from serving.http.failures import REQUEST, RequestFacts, log_failure
from serving.http.logs import log_request
from serving.http.paths import HEALTH, METRICS, template_of
from serving.http.problems import INTERNAL, MEDIA_TYPE, Problem, problem_of_response
from serving.telemetry import request_span, trace_id_of

REAL_PATH = "foresight.path"
REAL_QUERY = "foresight.query"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_SELDOM_TOLD = HEALTH | {METRICS}  # asked every few seconds: a line only when they fail
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
# What the guard has said of the caller, and a route of its methods, stays, whoever words the error.
_KEPT = (b"allow", b"access-control-", b"ratelimit", b"vary")


class Envelope:
    """Wraps the whole application, BentoML's own layers included."""

    def __init__(self, app: ASGIApp, slot: Slot) -> None:
        self._app = app
        self._slot = slot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI call."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = perf_counter()
        facts = RequestFacts(_request_id(scope))
        REQUEST.set(facts)
        template = template_of(scope["path"])
        metrics = self._slot.metrics
        answer = _Answer(send, facts.request_id)
        if metrics is not None:
            metrics.in_progress.inc()
        try:
            with request_span(template, scope["headers"]) as active:
                facts.trace_id = trace_id_of(active)
                await self._answer(scope, receive, answer, template)
        finally:
            seconds = perf_counter() - asked
            if metrics is not None:
                metrics.in_progress.dec()
                metrics.answered(template, answer.status, seconds, facts.error)
            if template not in _SELDOM_TOLD or answer.status >= 500:
                log_request(scope["method"], template, answer.status, seconds)

    async def _answer(self, scope: Scope, receive: Receive, answer: _Answer, template: str) -> None:
        # The layers within see the template; the guard puts the path back.
        inner = {
            **scope,
            REAL_PATH: scope["path"],
            REAL_QUERY: scope["query_string"],
            "path": template,
            "raw_path": template.encode(),
            "query_string": b"",
        }
        try:
            await self._app(inner, receive, answer.send)
        except Exception as error:
            log_failure(error)
            await answer.fail()


def _request_id(scope: Scope) -> str:
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    return given.decode() if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


class _Answer:
    """Passes good answers on, and turns the libraries' errors into problems; ``status``: 499 until it answers."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self._foreign: Message | None = None
        self._body = bytearray()
        self._started = False
        self.status = 499  # nginx's number for a client that went away

    async def send(self, message: Message) -> None:
        """ASGI's send."""
        if message["type"] == "http.response.start":
            await self._start(message)
        elif self._foreign is None:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._send_problem(problem_of_response(self._foreign["status"], bytes(self._body)))

    async def fail(self) -> None:
        """500, when no answer has begun."""
        if not self._started:
            await self._send_problem(Problem(500, "internal", INTERNAL))

    async def _start(self, message: Message) -> None:
        kind = MutableHeaders(raw=list(message.get("headers", []))).get("content-type", "")
        if message["status"] >= 400 and not kind.startswith((MEDIA_TYPE, "text/html")):
            self._foreign = message
            return
        headers = MutableHeaders(raw=list(message.get("headers", [])))
        headers["X-Request-Id"] = self._request_id
        for name, value in _HEADERS.items():
            headers.setdefault(name, value)
        self._started = True
        self.status = message["status"]
        await self._send({**message, "headers": headers.raw})

    async def _send_problem(self, problem: Problem) -> None:
        if self._started:
            return
        given = self._foreign["headers"] if self._foreign is not None else []
        kept = [(name, value) for name, value in given if name.lower().startswith(_KEPT)]
        self._foreign = None
        response = problem.response()
        headers = [*response.raw_headers, *kept]
        await self._start({"type": "http.response.start", "status": problem.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": response.body})
