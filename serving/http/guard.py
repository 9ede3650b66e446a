"""What a request must fulfil before anything reads it: a key, a known path, a body of bounded size, JSON."""

from __future__ import annotations

import secrets

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.deployment import API_KEY_HEADER, Limits, Slot, key_of
from serving.http.envelope import REAL_PATH
from serving.http.failures import log_failure
from serving.http.idempotency import Idempotency
from serving.http.paths import HEALTH, OTHER, PANEL, POSTS
from serving.http.problems import INTERNAL, Problem, problem_of_response
from serving.panel import content_security_policy, render_locked

# A client that sends too much is read to its end up to here, so that it sees the answer and no broken connection.
_MOST_DISCARDED_BYTES = 64 * 1024 * 1024


class Guard:
    """Sits inside BentoML's metrics, so that what it refuses is counted too."""

    def __init__(self, app: ASGIApp, slot: Slot) -> None:
        self._app = Idempotency(app, slot)
        self._slot = slot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI call."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        template: str = scope["path"]
        path: str = scope.get(REAL_PATH, template)
        scope = {**scope, "path": path, "raw_path": path.encode("utf-8", "surrogatepass")}
        limits = self._slot.deployment.limits
        refusal = _refusal(scope, template, limits)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        body = await _read_body(receive, limits.max_body_bytes)
        if body is None:
            await _too_large(limits).response()(scope, receive, send)
            return
        await self._answer(scope, _replayed(body, receive), send)

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


def _refusal(scope: Scope, template: str, limits: Limits) -> Response | None:
    headers = Headers(scope=scope)
    if template not in HEALTH and not limits.accepts_key(key_of(headers)):
        if template == PANEL and "text/html" in headers.get("accept", ""):
            return locked_page()
        return Problem(
            401,
            "key-required",
            f"This service answers only with a valid API key in the header {API_KEY_HEADER}.",
            headers={"WWW-Authenticate": f'ApiKey header="{API_KEY_HEADER}"'},
        ).response()
    if template == OTHER:
        return problem_of_response(404, b"").response()
    if template in POSTS and scope["method"] == "POST" and not _is_json(headers):
        return problem_of_response(415, b"").response()
    return None


def locked_page() -> Response:
    """The panel's page that asks for the key."""
    nonce = secrets.token_urlsafe(16)
    return HTMLResponse(
        render_locked(nonce=nonce), 401, headers={"Content-Security-Policy": content_security_policy(nonce)}
    )


def _is_json(headers: Headers) -> bool:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" and headers.get("content-encoding", "identity").lower() == "identity"


def _too_large(limits: Limits) -> Problem:
    return Problem(413, "body-too-large", f"The body is larger than {limits.max_body_bytes:,} bytes.")


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
