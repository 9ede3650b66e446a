"""A service over the double, for ``bentoml serve``: a customer whose answer takes two seconds."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from kernel.service_settings import ServiceSettings
from serving.feedback.store import DecisionStore
from serving.http.deployment import Deployment, Limits
from serving.insights import Insight
from serving.service import make_service
from tests.doubles.insights import InsightDouble

SLOW = "3"


class SlowDouble(InsightDouble):
    def by_ids(self, customer_ids: Sequence[str]) -> list[Insight]:
        if SLOW in customer_ids:
            time.sleep(2)
        return super().by_ids(customer_ids)


def _settings() -> ServiceSettings:
    return ServiceSettings(log_format="json", drain_seconds=1)


def _deployment() -> Deployment:
    return Deployment(SlowDouble(), DecisionStore(os.environ["DOUBLE_STATE"]), Limits.of(ServiceSettings(), {}))


Slow = make_service(_deployment, _settings)
