"""What one running service is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from kernel.clock import utc_now
from kernel.service_settings import ServiceSettings
from serving.challenger import Challenger
from serving.feedback.store import DecisionStore
from serving.http.keys import ApiKey, configured_keys
from serving.http.metrics import Metrics
from serving.http.tokens import configured_secrets
from serving.insights import InsightSource

if TYPE_CHECKING:
    from serving.live import Answering, LiveModels
    from serving.scoring.ledger import PastScore


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may be, who may send it, and which pages may show what it answers.

    Attributes:
        max_body_bytes: the largest body.
        max_ids: the most customers in one request.
        keys: the accepted API keys; with none, no key is asked for.
        token_secrets: what panel tokens are signed with, the newest first; with none, no token opens anything.
        max_json_depth: the deepest body.
        requests_per_minute: of each caller whose key has no figure of its own; None for no limit.
        frame_ancestors: which pages may frame ours, in the words of a content security policy.
        cors_origins: the origins whose pages may call.
    """

    max_body_bytes: int
    max_ids: int
    keys: tuple[ApiKey, ...] = ()
    token_secrets: tuple[str, ...] = field(default=(), repr=False)
    max_json_depth: int = 32
    requests_per_minute: int | None = None
    frame_ancestors: tuple[str, ...] = ("'self'",)
    cors_origins: frozenset[str] = frozenset()

    @classmethod
    def of(cls, settings: ServiceSettings, environment: Mapping[str, str]) -> Limits:
        """From ``[service]`` of foresight.toml, FORESIGHT_API_KEY and FORESIGHT_TOKEN_SECRET.

        Raises:
            UsageError: a digest is not one.
        """
        return cls(
            max_body_bytes=settings.max_body_bytes,
            max_ids=settings.max_ids,
            keys=configured_keys(settings, environment),
            token_secrets=configured_secrets(environment),
            max_json_depth=settings.max_json_depth,
            requests_per_minute=settings.requests_per_minute,
            frame_ancestors=settings.frame_ancestors,
            cors_origins=frozenset(settings.cors_origins),
        )


def _no_history(_customer_id: str, _until: datetime) -> Sequence[PastScore]:
    return ()


@dataclass(frozen=True, slots=True)
class Deployment:
    """What one request is answered with, from its beginning to its end.

    Attributes:
        source: the champions, over catalogue and features.
        store: where decisions and feedback are kept.
        limits: of requests.
        clock: the edge where the present enters.
        history: the past scores of a customer up to a moment, rising.
        language: the project's, in which reasons are worded.
        metrics: what is counted; None where nothing is.
        challenger: the models beside the champions.
        live: puts other models in use while the service runs; None where they stay the same.
    """

    source: InsightSource
    store: DecisionStore
    limits: Limits
    clock: Callable[[], datetime] = utc_now
    history: Callable[[str, datetime], Sequence[PastScore]] = _no_history
    language: str = "en"
    metrics: Metrics | None = field(default_factory=Metrics)
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
    and keeps it: what is put in use meanwhile is for the next one. ``draining``: it is about to stop, and takes no new
    work."""

    current: Deployment | None = field(default=None)
    draining: bool = False

    @property
    def deployment(self) -> Deployment:
        """The open deployment (RuntimeError before the service has started)."""
        if self.current is None:
            raise RuntimeError("the service has not started")
        return self.current

    @property
    def metrics(self) -> Metrics | None:
        """Where requests are counted; None where nothing is counted."""
        return None if self.current is None else self.current.metrics

    def drain(self) -> None:
        """Be no longer ready."""
        self.draining = True

    def put(self, answering: Answering) -> None:
        """Let other models answer from the next request on."""
        self.current = replace(self.deployment, source=answering.source, challenger=answering.challenger)
