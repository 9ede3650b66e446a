"""What must be set before the service leaves a developer's machine."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from kernel.errors import UsageError
from kernel.service_settings import ServiceSettings
from serving.http.keys import API_KEY_VARIABLE, configured_keys, digest_of
from serving.http.tokens import TOKEN_SECRET_VARIABLE, configured_secrets

_LEAST_CHARACTERS = 32  # RFC 7518 asks for as many bits as the hash has
_LEAST_DIFFERENT = 10
_EXAMPLES = ("change", "example", "password", "secret", "your_key", "your-key", "foresight")
_NEW_KEY = "Make one: foresight keys new --name crm --scope read"
_NEW_SECRET = "Make one: foresight keys secret"


def require_safe(settings: ServiceSettings, environment: Mapping[str, str], host: str) -> None:
    """Refuse to start where others could reach a service that is not protected.

    Args:
        settings: ``[service]``.
        environment: of the process.
        host: the address to listen on.

    Raises:
        UsageError: in development, ``host`` is not loopback; in production, there is no key, or a key or secret is
            too short or an example.
    """
    if settings.environment == "development":
        if not _is_loopback(host):
            raise UsageError(
                f"A service in development listens on loopback only, not on {host}.",
                where="foresight.toml: service.environment",
                fix='Set environment = "production", with keys (docs/security.md).',
            )
        return
    keys = configured_keys(settings, environment)
    if not keys:
        raise UsageError(
            "A service in production needs an API key.", where="foresight.toml: service.keys", fix=_NEW_KEY
        )
    examples = {
        digest_of(word.encode())
        for word in ("", "key", "test", "demo", *_EXAMPLES, *(word.upper() for word in _EXAMPLES))
    }
    if any(key.digest in examples for key in keys):
        raise UsageError("A key is an example's.", where="foresight.toml: service.keys", fix=_NEW_KEY)
    key = environment.get(API_KEY_VARIABLE)
    if key and _is_weak(key):
        raise UsageError("The key is too short, or an example.", where=API_KEY_VARIABLE, fix=_NEW_KEY)
    if any(_is_weak(secret) for secret in configured_secrets(environment)):
        raise UsageError("A secret is too short, or an example.", where=TOKEN_SECRET_VARIABLE, fix=_NEW_SECRET)


def _is_weak(secret: str) -> bool:
    few = len(secret) < _LEAST_CHARACTERS or len(set(secret)) < _LEAST_DIFFERENT
    return few or any(word in secret.lower() for word in _EXAMPLES)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
