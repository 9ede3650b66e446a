"""``[service]`` of ``foresight.toml``: the scoring service."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from kernel.section import Section

# Each goes into a header as it stands, so nothing that ends a directive or a header can be in it.
FrameAncestor = Annotated[
    str, Field(pattern=r"^('self'|'none'|https://(\*\.)?[a-z0-9.-]+(:\d{1,5})?|http://localhost(:\d{1,5})?)$")
]
Origin = Annotated[str, Field(pattern=r"^(https://[a-z0-9.-]+|http://(localhost|127\.0\.0\.1))(:\d{1,5})?$")]


class Scope(StrEnum):
    """What an API key is good for; none includes another."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


class KeySettings(Section):
    """``[[service.keys]]``: one API key. Two with one name are one caller, whose key is being changed.

    ``sha256``: the key's digest in hexadecimal digits; ``expires``: from this day on (UTC) it is refused.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,59}$")
    sha256: str = Field(pattern=r"^[0-9a-fA-F]{64}$")
    scopes: tuple[Scope, ...] = Field(min_length=1)
    expires: date | None = None
    requests_per_minute: int | None = Field(default=None, ge=1)


class ServiceSettings(Section):
    """The scoring service; keys are kept as SHA-256 hex digests.

    ``environment``: a service in development answers on loopback only; one in production asks for keys and refuses to
    start with weak ones. ``requests_per_minute``: of each caller, for keys without a figure of their own.
    It stops within ``drain_seconds`` (still answering, no longer ready) and ``stop_seconds`` (requests in flight).
    Every ``poll_seconds`` it looks which models the registry names. ``shadow``: the alias whose models are compared
    with the champions, unseen. ``canary``: the share of customers whom the challengers answer.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=3000, ge=1, le=65535)
    environment: Literal["development", "production"] = "development"
    max_ids: int = Field(default=1000, ge=1)
    max_body_bytes: int = Field(default=2_000_000, ge=1000)
    max_json_depth: int = Field(default=32, ge=8, le=200)
    api_keys_sha256: tuple[str, ...] = ()
    keys: tuple[KeySettings, ...] = ()
    requests_per_minute: int | None = Field(default=None, ge=1)
    frame_ancestors: tuple[FrameAncestor, ...] = Field(default=("'self'",), min_length=1)
    cors_origins: tuple[Origin, ...] = ()
    workers: int = Field(default=1, ge=1, le=64)
    timeout_seconds: int = Field(default=60, ge=1, le=3600)
    drain_seconds: int = Field(default=0, ge=0, le=300)
    stop_seconds: int = Field(default=30, ge=1, le=3600)
    metrics: bool = True
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    poll_seconds: float = Field(default=10, gt=0, le=3600)
    shadow: Literal["challenger"] | None = None
    canary: float = Field(default=0, ge=0, le=1)
