"""``[service]`` of ``foresight.toml``: the scoring service."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kernel.section import Section


class ServiceSettings(Section):
    """The scoring service; keys are kept as SHA-256 hex digests.

    Every ``poll_seconds`` it looks which models the registry names. ``shadow``: the alias whose models are compared
    with the champions, unseen. ``canary``: the share of customers whom the challengers answer.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=3000, ge=1, le=65535)
    max_ids: int = Field(default=1000, ge=1)
    max_body_bytes: int = Field(default=2_000_000, ge=1000)
    api_keys_sha256: tuple[str, ...] = ()
    poll_seconds: float = Field(default=10, gt=0, le=3600)
    shadow: Literal["challenger"] | None = None
    canary: float = Field(default=0, ge=0, le=1)
