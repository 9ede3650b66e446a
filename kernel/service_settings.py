"""``[service]`` of ``foresight.toml``: the scoring service."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kernel.section import Section


class ServiceSettings(Section):
    """The scoring service; keys are kept as SHA-256 hex digests.

    It stops within ``drain_seconds`` (still answering, no longer ready) and ``stop_seconds`` (requests in flight).
    """

    host: str = "127.0.0.1"
    port: int = Field(default=3000, ge=1, le=65535)
    max_ids: int = Field(default=1000, ge=1)
    max_body_bytes: int = Field(default=2_000_000, ge=1000)
    api_keys_sha256: tuple[str, ...] = ()
    workers: int = Field(default=1, ge=1, le=64)
    timeout_seconds: int = Field(default=60, ge=1, le=3600)
    drain_seconds: int = Field(default=0, ge=0, le=300)
    stop_seconds: int = Field(default=30, ge=1, le=3600)
    metrics: bool = True
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
