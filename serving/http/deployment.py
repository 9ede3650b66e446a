"""What one running service is made of."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from starlette.datastructures import Headers

from kernel.clock import utc_now
from kernel.errors import UsageError
from kernel.service_settings import ServiceSettings
from serving.feedback.store import DecisionStore
from serving.insights import InsightSource

API_KEY_HEADER = "X-API-Key"
API_KEY_VARIABLE = "FORESIGHT_API_KEY"
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may be.

    Attributes:
        max_body_bytes: the largest body.
        max_ids: the most customers in one request.
        key_digests: SHA-256 hex digests of the accepted API keys; with none, no key is asked for.
    """

    max_body_bytes: int
    max_ids: int
    key_digests: frozenset[str] = frozenset()

    @classmethod
    def of(cls, settings: ServiceSettings, environment: Mapping[str, str]) -> Limits:
        """From ``[service]`` of foresight.toml and FORESIGHT_API_KEY.

        Raises:
            UsageError: a digest is not one.
        """
        digests = {digest.strip().lower() for digest in settings.api_keys_sha256}
        if any(len(digest) != 64 or not _HEX.issuperset(digest) for digest in digests):
            raise UsageError(
                "An entry is no SHA-256 digest (64 hexadecimal digits).",
                where="foresight.toml: service.api_keys_sha256",
                fix="Write the output of: printf %s YOUR_KEY | sha256sum",
            )
        key = environment.get(API_KEY_VARIABLE, "")
        if key:
            digests.add(_digest(key.encode()))
        return cls(settings.max_body_bytes, settings.max_ids, frozenset(digests))

    def accepts_key(self, key: bytes | None) -> bool:
        """Whether a request with this ``X-API-Key`` may pass; the time it takes does not depend on the key."""
        if not self.key_digests:
            return True
        if key is None:
            return False
        digest = _digest(key)
        return sum(hmac.compare_digest(digest, known) for known in self.key_digests) > 0

    def client_of(self, key: bytes | None) -> str:
        """Whom a request with this ``X-API-Key`` is from: the key's digest; empty where no key is asked for."""
        return _digest(key) if self.key_digests and key is not None else ""


def key_of(headers: Headers) -> bytes | None:
    """The API key of a request."""
    key = headers.get(API_KEY_HEADER)
    return None if key is None else key.encode("latin-1")


def _digest(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()


@dataclass(frozen=True, slots=True)
class Deployment:
    """Models, store and limits of one running service; ``clock`` is the edge where the present enters."""

    source: InsightSource
    store: DecisionStore
    limits: Limits
    clock: Callable[[], datetime] = utc_now


@dataclass(slots=True)
class Slot:
    """Where the deployment is put once it is open; middleware and routes are built before that."""

    current: Deployment | None = field(default=None)

    @property
    def deployment(self) -> Deployment:
        """The open deployment (RuntimeError before the service has started)."""
        if self.current is None:
            raise RuntimeError("the service has not started")
        return self.current
