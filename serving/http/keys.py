"""API keys: known by their digests, each good for some scopes, until some day."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from kernel.errors import UsageError
from kernel.service_settings import Scope, ServiceSettings

API_KEY_VARIABLE = "FORESIGHT_API_KEY"
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One accepted key.

    Attributes:
        name: whose it is; several keys may have one name.
        digest: SHA-256 of the key, lower-case hexadecimal digits.
        scopes: what it is good for.
        expires: from this day on (UTC) it is refused.
        requests_per_minute: its caller's own limit.
    """

    name: str
    digest: str
    scopes: frozenset[Scope] = frozenset(Scope)
    expires: date | None = None
    requests_per_minute: int | None = None

    def is_expired(self, now: datetime) -> bool:
        """Whether its last day is over at ``now`` (UTC)."""
        return self.expires is not None and now.date() >= self.expires


def configured_keys(settings: ServiceSettings, environment: Mapping[str, str]) -> tuple[ApiKey, ...]:
    """The keys of ``[service]``, and that of FORESIGHT_API_KEY.

    Raises:
        UsageError: a digest is not one.
    """
    keys = [
        ApiKey(key.name, key.sha256.lower(), frozenset(key.scopes), key.expires, key.requests_per_minute)
        for key in settings.keys
    ]
    digests = [digest.strip().lower() for digest in settings.api_keys_sha256]
    if any(len(digest) != 64 or not _HEX.issuperset(digest) for digest in digests):
        raise UsageError(
            "An entry is no SHA-256 digest (64 hexadecimal digits).",
            where="foresight.toml: service.api_keys_sha256",
            fix="Write the output of: printf %s YOUR_KEY | sha256sum",
        )
    given = environment.get(API_KEY_VARIABLE, "")
    if given:
        digests.append(digest_of(given.encode()))
    return (*keys, *(ApiKey(f"key-{digest[:8]}", digest) for digest in digests))


def find_key(keys: tuple[ApiKey, ...], given: bytes) -> ApiKey | None:
    """The key that ``given`` is; how long it takes does not depend on ``given``."""
    digest = digest_of(given)
    found = None
    for key in keys:
        if hmac.compare_digest(digest, key.digest):
            found = key
    return found


def digest_of(key: bytes) -> str:
    """SHA-256, lower-case hexadecimal digits."""
    return hashlib.sha256(key).hexdigest()
