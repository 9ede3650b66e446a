"""What one running service is made of."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from kernel.clock import utc_now
from kernel.errors import UsageError
from kernel.service_settings import ServiceSettings
from serving.challenger import Challenger
from serving.feedback.store import DecisionStore
from serving.insights import InsightSource

if TYPE_CHECKING:
    from serving.live import Answering, LiveModels

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


@dataclass(frozen=True, slots=True)
class Deployment:
    """What one request is answered with, from its beginning to its end.

    Attributes:
        source: the champions, over catalogue and features.
        clock: the edge where the present enters.
        challenger: the models beside the champions.
        live: puts other models in use while the service runs; None where they stay the same.
    """

    source: InsightSource
    store: DecisionStore
    limits: Limits
    clock: Callable[[], datetime] = utc_now
    challenger: Challenger | None = None
    live: LiveModels | None = None

    def source_for(self, customer_id: str) -> InsightSource:
        """What answers for a customer: the challenger for those of the canary."""
        if self.challenger is not None and self.challenger.takes(customer_id):
            return self.challenger.source
        return self.source


@dataclass(slots=True)
class Slot:
    """Where the deployment is put once it is open; middleware and routes are built before that. A request takes it once
    and keeps it: what is put in use meanwhile is for the next one."""

    current: Deployment | None = field(default=None)

    @property
    def deployment(self) -> Deployment:
        """The open deployment (RuntimeError before the service has started)."""
        if self.current is None:
            raise RuntimeError("the service has not started")
        return self.current

    def put(self, answering: Answering) -> None:
        """Let other models answer from the next request on."""
        self.current = replace(self.deployment, source=answering.source, challenger=answering.challenger)
