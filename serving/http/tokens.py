"""Panel tokens: a JSON Web Token signed with HMAC-SHA256 (RFC 7515, HS256) that opens one customer for some minutes.

Whoever shares the secret may sign: the CRM's back end by itself, or this service for it (``POST /v1/panel-tokens``).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import quote

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kernel.errors import UsageError
from serving.schemas import Key

TOKEN_SECRET_VARIABLE = "FORESIGHT_TOKEN_SECRET"
MOST_SECONDS = 3600
_LONGEST = 4096
_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_HEADER = {"alg": "HS256", "typ": "JWT"}


class _Claims(BaseModel):
    """The signed part; what else a signer's library adds (``iat``, ``jti``) is not looked at."""

    model_config = ConfigDict(strict=True, hide_input_in_errors=True)

    customer: Key
    user: Key
    tenant: Key
    exp: Annotated[int, Field(ge=0, le=10**11)]
    scope: Literal["read", "read feedback"]


@dataclass(frozen=True, slots=True)
class PanelToken:
    """What a token says.

    Attributes:
        customer: the one customer it opens.
        user: who looks, in the CRM's words.
        tenant: the project it is for.
        expires: from this moment on it is refused; whole seconds.
        feedback: whether feedback on this customer's decisions may be sent with it.
    """

    customer: str
    user: str
    tenant: str
    expires: datetime
    feedback: bool = False


class TokenError(Exception):
    """A token that opens nothing.

    Attributes:
        is_expired: it was good once.
    """

    def __init__(self, *, is_expired: bool = False) -> None:
        super().__init__("the token has expired" if is_expired else "the token is not valid")
        self.is_expired = is_expired


def configured_secrets(environment: Mapping[str, str]) -> tuple[str, ...]:
    """FORESIGHT_TOKEN_SECRET: one or several between commas, of which the first signs and all open."""
    return tuple(secret for part in environment.get(TOKEN_SECRET_VARIABLE, "").split(",") if (secret := part.strip()))


def signing_secret(secrets: tuple[str, ...]) -> str:
    """The secret that signs.

    Raises:
        UsageError: there is none.
    """
    if not secrets:
        raise UsageError(
            "No secret to sign panel tokens with is set.",
            where=TOKEN_SECRET_VARIABLE,
            fix="Set it to a random text: foresight keys secret",
        )
    return secrets[0]


def expiry(now: datetime, seconds: int) -> datetime:
    """When a token made at ``now`` for so many seconds ends; whole seconds."""
    return now.replace(microsecond=0) + timedelta(seconds=seconds)


def sign_token(token: PanelToken, secret: str) -> str:
    """The token as text, for an address or a header."""
    claims = {
        "customer": token.customer,
        "user": token.user,
        "tenant": token.tenant,
        "exp": int(token.expires.timestamp()),
        "scope": "read feedback" if token.feedback else "read",
    }
    signed = f"{_encoded(_HEADER)}.{_encoded(claims)}"
    return f"{signed}.{_base64(_signature(signed, secret))}"


def panel_path(customer: str, token: str) -> str:
    """The panel's path with a token, ready for an address."""
    return f"/panel/{quote(customer, safe='')}?t={token}"


def read_token(text: str, secrets: tuple[str, ...], now: datetime) -> PanelToken:
    """What a token says, once its signature and its time have been found right.

    Raises:
        TokenError: signed with another secret or another algorithm, malformed, expired, or good for more than an hour.
    """
    if len(text) > _LONGEST or not _FORM.fullmatch(text):
        raise TokenError
    signed, _, signature = text.rpartition(".")
    header, _, claims = signed.partition(".")
    # The algorithm is ours, whatever the header asks for; one that asks for another is not of our making.
    if not _is_ours(header) or not _is_signed(signed, _bytes_of(signature), secrets):
        raise TokenError
    try:
        said = _Claims.model_validate_json(_bytes_of(claims))
    except ValidationError:
        raise TokenError from None
    ends = datetime.fromtimestamp(said.exp, UTC)
    if now >= ends:
        raise TokenError(is_expired=True)
    if ends - now > timedelta(seconds=MOST_SECONDS):
        raise TokenError
    return PanelToken(said.customer, said.user, said.tenant, ends, feedback="feedback" in said.scope)


def _is_ours(header: str) -> bool:
    try:
        said: Any = orjson.loads(_bytes_of(header))
    except orjson.JSONDecodeError:
        return False
    return isinstance(said, dict) and said.get("alg") == "HS256" and "crit" not in said


def _is_signed(signed: str, signature: bytes, secrets: tuple[str, ...]) -> bool:
    return sum(hmac.compare_digest(_signature(signed, secret), signature) for secret in secrets) > 0


def _signature(signed: str, secret: str) -> bytes:
    return hmac.digest(secret.encode(), signed.encode(), hashlib.sha256)


def _encoded(content: dict[str, Any]) -> str:
    return _base64(orjson.dumps(content))


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _bytes_of(part: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        raise TokenError from None
