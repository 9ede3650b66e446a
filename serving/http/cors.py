"""Which pages of other origins may call the service from a browser: those on the list, with a token, never a cookie."""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.responses import Response

_EXPOSED = "RateLimit, RateLimit-Policy, Retry-After, X-Request-Id"
# An API key has no place in a browser, so X-API-Key is not among them.
_ACCEPTED = "Authorization, Content-Type, Idempotency-Key, X-Request-Id"
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": _ACCEPTED,
    "Access-Control-Max-Age": "600",
}


def cors_headers(headers: Headers, origins: Collection[str]) -> dict[str, str]:
    """What every answer to a request with these headers carries; nothing for an origin that is not on the list."""
    if not origins:
        return {}
    origin = headers.get("origin")
    if origin is None or origin not in origins:
        return {"Vary": "Origin"}
    return {"Vary": "Origin", "Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": _EXPOSED}


def preflight_answer(method: str, headers: Headers, origins: Collection[str]) -> Response | None:
    """The answer to a browser that asks before it calls; None when this request is none, or not from the list."""
    asks = method == "OPTIONS" and "access-control-request-method" in headers
    return Response(status_code=204, headers=_PREFLIGHT) if asks and headers.get("origin") in origins else None
