"""The BentoML service: HTTP to types and back, no logic. ``bentoml serve serving.service:Foresight``."""

from __future__ import annotations

import functools
import gc
import logging
import os
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar, cast

# BentoML reads this when a server starts, and only the exact word counts.
os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")

import bentoml
from bentoml import Service
from starlette.types import ASGIApp

from kernel.errors import UsageError
from kernel.settings import load_settings
from serving.feedback.store import DecisionStore
from serving.http import operations, paths
from serving.http.deployment import Deployment, Limits, Slot
from serving.http.envelope import Envelope
from serving.http.failures import WithoutCustomers, answered
from serving.http.guard import Guard
from serving.http.readiness import is_ready
from serving.http.routes import get_routes
from serving.schemas import (
    FeedbackAnswer,
    FeedbackRequest,
    RecommendationAnswer,
    RecommendationRequest,
    ScoreAnswer,
    ScoreRequest,
)

CONFIG_VARIABLE = "FORESIGHT_CONFIG"
_TIMEOUT_SECONDS = 60
_LOOPBACK: Any = {"host": "127.0.0.1"}  # BentoML's own default is every interface
_BENTOML_ERROR_LOG = "bentoml._internal.server.http_app"
_Given = ParamSpec("_Given")
_Answer = TypeVar("_Answer")


class EnvelopedService(Service[Any]):
    """A BentoML service whose whole application, BentoML's own layers included, is wrapped once more."""

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        """The application that the worker serves."""
        return Envelope(super().to_asgi(is_main))


def make_service(open_deployment: Callable[[], Deployment]) -> Service[Any]:
    """The service over what ``open_deployment`` opens; that runs in the worker when it starts, not before."""
    slot = Slot()

    @bentoml.service(
        name="Foresight",
        service_class=EnvelopedService,
        traffic={"timeout": _TIMEOUT_SECONDS},
        http=_LOOPBACK,
    )
    class Foresight:
        """Churn, lifetime value and the next best action."""

        def __init__(self) -> None:
            logging.getLogger(_BENTOML_ERROR_LOG).addFilter(WithoutCustomers())
            slot.current = open_deployment()
            if slot.current.live is not None:
                slot.current.live.start(slot.put)
            # Everything loaded so far lives as long as the process: the collector need not look at it again.
            gc.collect()
            gc.freeze()

        @bentoml.api(route=paths.SCORE)
        @_problems_answered
        async def score(self, request: ScoreRequest, /) -> ScoreAnswer:
            """Score customers: by id, by several ids, or a whole profile."""
            return await operations.score(slot.deployment, request)

        @bentoml.api(route=paths.RECOMMENDATIONS)
        @_problems_answered
        async def recommendations(self, request: RecommendationRequest, /) -> RecommendationAnswer:
            """Recommend the next best actions; each decision is kept before it is answered."""
            return await operations.recommend(slot.deployment, request)

        @bentoml.api(route=paths.FEEDBACK)
        @_problems_answered
        async def feedback(self, event: FeedbackRequest, /) -> FeedbackAnswer:
            """Keep what became of a recommended action; the same event again changes nothing."""
            return await operations.record_feedback(slot.deployment, event)

        async def __is_ready__(self) -> bool:
            return await is_ready(slot.deployment)

        @bentoml.on_shutdown
        def close(self) -> None:
            """Give the databases back."""
            if slot.deployment.live is not None:
                slot.deployment.live.stop()
            slot.deployment.store.close()

    service = cast("Service[Any]", Foresight)
    service.add_asgi_middleware(cast("Any", Guard), slot=slot)
    service.mount_asgi_app(cast("Any", get_routes(slot)))
    return service


def _problems_answered(method: Callable[_Given, Awaitable[_Answer]]) -> Callable[_Given, Awaitable[_Answer]]:
    """Errors become problems here: further out, BentoML would log them with their text and answer in another shape."""

    @functools.wraps(method)
    async def answering(*args: _Given.args, **kwargs: _Given.kwargs) -> _Answer:
        try:
            return await method(*args, **kwargs)
        except Exception as error:
            return cast("_Answer", answered(error).response())

    return answering


def _configured_deployment() -> Deployment:
    path = os.environ.get(CONFIG_VARIABLE)
    if not path:
        raise UsageError(
            "The service does not know its project.",
            where=CONFIG_VARIABLE,
            fix="Start it with: foresight serve -c foresight.toml",
        )
    from serving.live import LiveModels  # the models' libraries load in the worker only

    settings = load_settings(path)
    limits = Limits.of(settings.service, os.environ)
    store = DecisionStore(settings.state_url)
    live = LiveModels(settings)
    answering = live.first_or_waiting()
    return Deployment(answering.source, store, limits, challenger=answering.challenger, live=live)


Foresight = make_service(_configured_deployment)
