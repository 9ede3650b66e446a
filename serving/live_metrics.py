"""Counters of the models in use, in Prometheus' own registry, where BentoML's ``/metrics`` finds them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter, Gauge


@dataclass(frozen=True)
class LiveMetrics:
    """``swaps``: other models were put in use; ``refused``: could not be; ``champion_refused``: 1 while champions are
    not; ``registry_away``: 1 while it is; ``compared`` and ``dropped``: customers in the shadow."""

    swaps: Counter
    refused: Counter
    champion_refused: Gauge
    registry_away: Gauge
    compared: Counter
    dropped: Counter
    registry: CollectorRegistry


@cache
def live_metrics() -> LiveMetrics:
    """Those of this process; imported late, because BentoML must first say where several processes add up."""
    from prometheus_client import CollectorRegistry, Counter, Gauge

    own = CollectorRegistry()
    dropped = "Customers whom it should have scored, and was too busy or failed."
    return LiveMetrics(
        swaps=Counter("foresight_model_swaps", "Times that other models were put in use.", registry=own),
        refused=Counter("foresight_model_swap_refused", "Times that newer models were refused.", registry=own),
        champion_refused=Gauge(
            "foresight_champion_refused",
            "1 while a champion, or what is around it, is refused.",
            multiprocess_mode="livemax",
            registry=own,
        ),
        registry_away=Gauge(
            "foresight_registry_away",
            "1 while the model registry cannot be asked.",
            multiprocess_mode="livemax",
            registry=own,
        ),
        compared=Counter("foresight_shadow_compared", "Customers whom the challenger scored unseen.", registry=own),
        dropped=Counter("foresight_shadow_dropped", dropped, registry=own),
        registry=own,
    )
