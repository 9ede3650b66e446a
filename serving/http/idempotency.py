"""``Idempotency-Key``: a write that is sent again under the same key is answered as it was the first time."""

from __future__ import annotations

import hashlib
import re

from anyio import to_thread
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kernel.errors import ForesightError
from serving.feedback.idempotency import KeptAnswer, RequestKey
from serving.http.callers import CALLER
from serving.http.deployment import Deployment, Slot
from serving.http.failures import answered
from serving.http.paths import FEEDBACK, RECOMMENDATIONS
from serving.http.problems import Problem

IDEMPOTENCY_KEY_HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotent-Replayed"
WRITES = frozenset({RECOMMENDATIONS, FEEDBACK})
_KEY = re.compile(r"[!-~]{1,200}")


class Idempotency:
    """Sits inside the guard, which has read the whole body and knows that the client may ask.

    Only an answer of success is kept. After an error nothing was written, or what was written (an event in quarantine)
    is written once however often it is sent, so that the same key may try again, mended or not.
    """

    def __init__(self, app: ASGIApp, slot: Slot) -> None:
        self._app = app
        self._slot = slot
        self._in_flight: dict[RequestKey, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI call."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] not in WRITES:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        keys = headers.getlist(IDEMPOTENCY_KEY_HEADER)
        if not keys:
            await self._app(scope, receive, send)
            return
        if len(keys) > 1 or not _KEY.fullmatch(keys[0]):
            problem = Problem(
                400, "invalid-idempotency-key", f"{IDEMPOTENCY_KEY_HEADER} is one text of 1 to 200 visible characters."
            )
            await problem.response()(scope, receive, send)
            return
        deployment = self._slot.deployment
        key = RequestKey(CALLER.get().name, keys[0])
        message = await receive()
        digest = hashlib.sha256(b"\0".join((scope["path"].encode(), message.get("body", b"")))).hexdigest()
        try:
            response = await self._first_or_again(deployment, key, digest, _Call(self._app, scope, message, receive))
        except (Problem, ForesightError) as error:
            response = answered(error).response()
        await response(scope, receive, send)

    async def _first_or_again(self, deployment: Deployment, key: RequestKey, digest: str, call: _Call) -> Response:
        if key in self._in_flight:
            if self._in_flight[key] != digest:
                raise _reused()
            raise Problem(
                409,
                "request-in-flight",
                f"The request with this {IDEMPOTENCY_KEY_HEADER} is not answered yet. Try again.",
                headers={"Retry-After": "1"},
            )
        self._in_flight[key] = digest
        try:
            kept = await to_thread.run_sync(deployment.store.answers.find, key, deployment.clock())
            return _again(kept, digest) if kept else await _first(deployment, key, digest, call)
        finally:
            del self._in_flight[key]


class _Call:
    """The request, handed to the application; its answer is held back."""

    def __init__(self, app: ASGIApp, scope: Scope, first: Message, receive: Receive) -> None:
        self._app, self._scope, self._receive = app, scope, receive
        self._first: Message | None = first
        self._start: Message = {}
        self._body = bytearray()

    async def response(self) -> Response:
        """What the application answers."""
        await self._app(self._scope, self._replay, self._hold)
        response = Response(bytes(self._body), self._start["status"])
        response.raw_headers = list(self._start.get("headers", []))
        return response

    async def _replay(self) -> Message:
        first, self._first = self._first, None
        return first or await self._receive()

    async def _hold(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        else:
            self._body += message.get("body", b"")


async def _first(deployment: Deployment, key: RequestKey, digest: str, call: _Call) -> Response:
    response = await call.response()
    if response.status_code != 200:
        return response
    answer = KeptAnswer(digest, response.status_code, bytes(response.body))
    kept = await to_thread.run_sync(deployment.store.answers.keep, key, answer, deployment.clock())
    return response if kept == answer else _again(kept, digest)


def _again(kept: KeptAnswer, digest: str) -> Response:
    if kept.request_digest != digest:
        raise _reused()
    return Response(kept.body, kept.status, headers={REPLAYED_HEADER: "true"}, media_type="application/json")


def _reused() -> Problem:
    return Problem(
        422,
        "idempotency-key-reused",
        f"This {IDEMPOTENCY_KEY_HEADER} stands for another request. Give every request its own.",
    )
