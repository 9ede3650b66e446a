"""What a request must fulfil before anything reads it: who sends it, how often, a known path, JSON of bounded size."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.callers import CALLER, admit
from serving.http.cors import cors_headers, preflight_answer
from serving.http.deployment import Deployment, Limits, Slot
from serving.http.envelope import REAL_PATH, REAL_QUERY
from serving.http.failures import REQUEST, log_failure
from serving.http.idempotency import Idempotency
from serving.http.json_depth import is_deeper_than
from serving.http.json_keys import repeated_key
from serving.http.paths import OTHER, PANEL, POSTS, PUBLIC, READYZ, customer_of
from serving.http.problems import INTERNAL, Problem, problem_of_response
from serving.http.rate_limit import RateLimiter
from serving.http.readiness import readiness
from serving.panel import LANGUAGES, Notice, content_security_policy, notice_page, words_for
from serving.schemas import FieldProblem

# A client that sends too much is read to its end up to here, so that it sees the answer and no broken connection.
_MOST_DISCARDED_BYTES = 64 * 1024 * 1024
# The server's own bound is on what came in pieces: 100 KB in one piece pass it.
_MOST_HEAD_BYTES = 32 * 1024


class Guard:
    """Sits inside BentoML's metrics, so that what it refuses is counted too."""

    def __init__(self, app: ASGIApp, slot: Slot) -> None:
        self._app = Idempotency(app, slot)
        self._slot = slot
        self._rates = RateLimiter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI call."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        template: str = scope["path"]
        path: str = scope.get(REAL_PATH, template)
        scope = {**scope, "path": path, "raw_path": path.encode("utf-8", "surrogatepass")}
        if template == READYZ:
            await (await readiness(self._slot))(scope, receive, send)
            return
        deployment = self._slot.deployment
        limits, headers = deployment.limits, Headers(scope=scope)
        added = cors_headers(headers, limits.cors_origins)
        send = _adding(send, added)
        preflight = preflight_answer(scope["method"], headers, limits.cors_origins)
        if preflight is not None:
            await preflight(scope, receive, send)
            return
        try:
            _check_size(scope)
            if template not in PUBLIC:
                added |= self._let_in(scope, template, deployment)
            _check_kind(scope, template, headers)
            body = _checked(await _read_body(receive, limits.max_body_bytes), limits, template)
        except Problem as problem:
            await _refusal(problem, path, template, headers, limits)(scope, receive, send)
            return
        await self._answer(scope, _replayed(body, receive), send)

    def _let_in(self, scope: Scope, template: str, deployment: Deployment) -> dict[str, str]:
        """Who sends the request is known from here on. Returns what the answer says of the caller's limit.

        Raises:
            Problem: 401, 403, or 429 when the caller asks too often.
        """
        caller = admit(scope, template, deployment)
        CALLER.set(caller)
        if (request := REQUEST.get()) is not None:
            request.key = caller.key
        if caller.requests_per_minute is None:
            return {}
        allowance = self._rates.take(caller.name, caller.requests_per_minute)
        if not allowance.is_granted:
            detail = f"At most {allowance.per_minute:,} requests a minute are answered; wait for Retry-After seconds."
            headers = {"Retry-After": str(allowance.wait_seconds), **allowance.headers()}
            raise Problem(429, "rate-limited", detail, headers=headers)
        return allowance.headers()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            # Further out, BentoML's time limit would hold the answer back until it runs out.
            log_failure(error)
            if not started:
                await Problem(500, "internal", INTERNAL).response()(scope, receive, send)


def _adding(send: Send, added: Mapping[str, str]) -> Send:
    async def sending(message: Message) -> None:
        if added and message["type"] == "http.response.start":
            headers = MutableHeaders(raw=list(message.get("headers", [])))
            for name, value in added.items():
                headers[name] = value
            message = {**message, "headers": headers.raw}
        await send(message)

    return sending


def _check_size(scope: Scope) -> None:
    size = len(scope["raw_path"]) + len(scope.get(REAL_QUERY, b""))
    if size + sum(len(name) + len(value) for name, value in scope["headers"]) > _MOST_HEAD_BYTES:
        raise Problem(431, "head-too-large", f"Address and headers are larger than {_MOST_HEAD_BYTES:,} bytes.")


def _check_kind(scope: Scope, template: str, headers: Headers) -> None:
    if template == OTHER:
        raise problem_of_response(404, b"")
    if template in POSTS and scope["method"] == "POST" and not _is_json(headers):
        raise problem_of_response(415, b"")


def _checked(body: bytes | None, limits: Limits, template: str) -> bytes:
    if body is None:
        raise Problem(413, "body-too-large", f"The body is larger than {limits.max_body_bytes:,} bytes.")
    if template not in POSTS:
        return body
    if is_deeper_than(body, limits.max_json_depth):
        raise Problem(400, "json-too-deep", f"The body nests more than {limits.max_json_depth} lists and objects.")
    repeated = repeated_key(body)
    if repeated is not None:
        wrong = FieldProblem(field=repeated, message="This key stands twice in its object.")
        raise Problem(400, "invalid-request", "A field is given twice.", errors=(wrong,))
    return body


def _is_json(headers: Headers) -> bool:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" and headers.get("content-encoding", "identity").lower() == "identity"


_NOTICES = {
    "key-required": Notice.LOCKED,
    "token-expired": Notice.EXPIRED,
    "token-invalid": Notice.EXPIRED,
    "token-elsewhere": Notice.FORBIDDEN,
}


def _refusal(problem: Problem, path: str, template: str, headers: Headers, limits: Limits) -> Response:
    """The problem; a person who looks at the panel gets a page."""
    if template != PANEL or "text/html" not in headers.get("accept", "") or problem.kind not in _NOTICES:
        return problem.response()
    nonce = secrets.token_urlsafe(16)
    words = words_for(None, headers.get("accept-language"), LANGUAGES[0])
    page = notice_page(_NOTICES[problem.kind], words, customer_of(template, path), nonce=nonce)
    policy = content_security_policy(nonce, limits.frame_ancestors)
    return HTMLResponse(page, problem.status, headers={"Content-Security-Policy": policy})


async def _read_body(receive: Receive, most: int) -> bytes | None:
    """The whole body; None when it is larger than ``most`` bytes, of which no more is ever held."""
    body = bytearray()
    total = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return bytes(body)
        chunk: bytes = message.get("body", b"")
        total += len(chunk)
        if total <= most:
            body += chunk
        ends = not message.get("more_body", False)
        if ends or total > _MOST_DISCARDED_BYTES:
            return bytes(body) if total <= most else None


def _replayed(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
