"""What one running service is made of."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from kernel.clock import utc_now
from kernel.errors import UsageError
from kernel.service_settings import ServiceSettings
from serving.feedback.store import DecisionStore
from serving.insights import InsightSource

if TYPE_CHECKING:
    from serving.scoring.ledger import PastScore

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


def _digest(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()


def _no_history(_customer_id: str, _until: datetime) -> Sequence[PastScore]:
    return ()


@dataclass(frozen=True, slots=True)
class Deployment:
    """What one running service answers with.

    Attributes:
        source: the models.
        store: where decisions and feedback are kept.
        limits: of requests.
        clock: the edge where the present enters.
        history: the past scores of a customer up to a moment, rising.
        language: the project's, in which reasons are worded.
    """

    source: InsightSource
    store: DecisionStore
    limits: Limits
    clock: Callable[[], datetime] = utc_now
    history: Callable[[str, datetime], Sequence[PastScore]] = _no_history
    language: str = "en"


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
