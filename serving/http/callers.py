"""Who sent a request, and whether they may: by API key, or by a token that opens one customer."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.types import Scope

from serving.http import paths
from serving.http.deployment import Deployment
from serving.http.envelope import REAL_QUERY
from serving.http.keys import find_key
from serving.http.problems import Problem
from serving.http.tokens import TokenError, read_token

API_KEY_HEADER = "X-API-Key"
_BEARER = "Bearer "
_ASK_FOR_KEY = {"WWW-Authenticate": f'ApiKey header="{API_KEY_HEADER}"'}
_ASK_FOR_TOKEN = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        name: the same in every request of one caller, and of no other.
        requests_per_minute: how often it may ask; None for no limit.
        customer: the only customer it may see; None for any.
        key: the name of its API key; "" for others, whose names are in no log.
    """

    name: str
    requests_per_minute: int | None = None
    customer: str | None = None
    key: str = ""


CALLER: ContextVar[Caller] = ContextVar("foresight_caller")


def admit(scope: Scope, template: str, deployment: Deployment) -> Caller:
    """Who sent the request to this path.

    Raises:
        Problem: 401 without a valid key or token; 403 where it is not good for this path or customer.
    """
    headers = Headers(scope=scope)
    token = _token(scope, headers, template) if deployment.limits.token_secrets else None
    return _by_key(headers, template, deployment) if token is None else _by_token(token, scope, template, deployment)


def _by_key(headers: Headers, template: str, deployment: Deployment) -> Caller:
    limits = deployment.limits
    if not limits.keys:
        return Caller("anybody", limits.requests_per_minute)
    key = find_key(limits.keys, _given_key(headers, template).encode("latin-1"))
    if key is None:
        raise Problem(
            401,
            "key-required",
            f"This service answers only with a valid API key in the header {API_KEY_HEADER}.",
            headers=_ASK_FOR_KEY,
        )
    if key.is_expired(deployment.clock()):
        raise Problem(401, "key-expired", "This API key has expired; use the newer one.", headers=_ASK_FOR_KEY)
    needed = paths.scope_of(template)
    if needed is not None and needed not in key.scopes:
        raise Problem(403, "scope-required", f"This API key lacks the scope '{needed}', which this path asks for.")
    return Caller(f"key:{key.name}", key.requests_per_minute or limits.requests_per_minute, key=key.name)


def _by_token(text: str, scope: Scope, template: str, deployment: Deployment) -> Caller:
    limits = deployment.limits
    try:
        token = read_token(text, limits.token_secrets, deployment.clock())
    except TokenError as error:
        kind, sentence = ("token-expired", "expired") if error.is_expired else ("token-invalid", "not valid")
        raise Problem(401, kind, f"The token is {sentence}; ask for a new one.", headers=_ASK_FOR_TOKEN) from None
    if token.tenant != deployment.source.project:
        raise Problem(403, "token-elsewhere", "The token is for another project.")
    if template == paths.FEEDBACK:
        if not token.feedback:
            raise Problem(403, "scope-required", "The token lacks the scope 'feedback'.")
    elif token.customer != paths.customer_of(template, scope["path"]):
        raise Problem(403, "token-elsewhere", "The token is for another customer.")
    return Caller(f"user:{token.user}", limits.requests_per_minute, token.customer)


def _token(scope: Scope, headers: Headers, template: str) -> str | None:
    """The token of a request without a key, on a path that one opens."""
    if template not in paths.BY_TOKEN or API_KEY_HEADER in headers:
        return None
    given = headers.get("authorization", "")
    if given.startswith(_BEARER):
        return given.removeprefix(_BEARER)
    query: bytes = scope.get(REAL_QUERY, b"") if template == paths.PANEL else b""
    return ",".join(parse_qs(query.decode("latin-1")).get("t", [])) or None


def _given_key(headers: Headers, template: str) -> str:
    given = headers.get("authorization", "")
    if template == paths.METRICS and given.startswith(_BEARER):
        return given.removeprefix(_BEARER)  # all that every version of Prometheus can send
    return headers.get(API_KEY_HEADER, "")
