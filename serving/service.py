"""The BentoML service: HTTP to types and back, no logic. ``bentoml serve serving.service:Foresight``."""

from __future__ import annotations

import functools
import gc
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ParamSpec, TypeVar, cast

# BentoML reads this when a server starts, and only the exact word counts.
os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")

import bentoml
from bentoml import Service
from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import ASGIApp

from kernel.alerts import latest_file
from kernel.errors import UsageError
from kernel.service_settings import ServiceSettings
from kernel.settings import load_settings
from serving.feedback.store import DecisionStore
from serving.http import operations, paths
from serving.http.deployment import Deployment, Limits, Slot
from serving.http.draining import drain_on_sigterm
from serving.http.envelope import Envelope
from serving.http.failures import WithoutCustomers, answered
from serving.http.guard import Guard
from serving.http.logs import configure_logging, without_addresses
from serving.http.metrics import Metrics
from serving.http.readiness import is_ready
from serving.http.routes import get_routes
from serving.http.safety import require_safe
from serving.metric_files import room_for_counts
from serving.schemas import (
    FeedbackAnswer,
    FeedbackRequest,
    PanelTokenAnswer,
    PanelTokenRequest,
    RecommendationAnswer,
    RecommendationRequest,
    ScoreAnswer,
    ScoreRequest,
)
from serving.telemetry import start_tracing, stop_tracing

CONFIG_VARIABLE = "FORESIGHT_CONFIG"
WORKERS_VARIABLE = "FORESIGHT_WORKERS"
TIMEOUT_VARIABLE = "FORESIGHT_TIMEOUT_SECONDS"
_LOOPBACK: Any = {"host": "127.0.0.1"}  # BentoML's own default is every interface
_OBJECTS_BETWEEN_COLLECTIONS = 50_000  # some milliseconds of looking, some ten megabytes at most
_BENTOML_ERROR_LOG = "bentoml._internal.server.http_app"
_Given = ParamSpec("_Given")
_Answer = TypeVar("_Answer", bound=BaseModel)


class EnvelopedService(Service[Any]):
    """A BentoML service whose whole application, BentoML's own layers included, is wrapped once more."""

    slot: Slot

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        """The application that the worker serves."""
        return Envelope(super().to_asgi(is_main), self.slot)


def make_service(
    open_deployment: Callable[[], Deployment],
    settings: Callable[[], ServiceSettings] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Service[Any]:
    """The service over what ``open_deployment`` opens; that runs in the worker when it starts, not before.

    Args:
        settings: how it logs and stops, asked for when a process of it starts; None leaves logs and signals alone.
        environment: what BentoML has to know before that: FORESIGHT_WORKERS and FORESIGHT_TIMEOUT_SECONDS.
    """
    slot = Slot()

    @bentoml.service(
        name="Foresight",
        service_class=EnvelopedService,
        workers=int(environment.get(WORKERS_VARIABLE, 1)),
        traffic={"timeout": float(environment.get(TIMEOUT_VARIABLE, 60))},
        http=_LOOPBACK,
        # Counting, access log and traces are the envelope's: it knows the outcome, and theirs cost more than scoring.
        metrics={"enabled": False},
        logging={"access": {"enabled": False}},
        tracing={"excluded_urls": ".*"},
    )
    class Foresight:
        """Churn, lifetime value and the next best action."""

        def __init__(self) -> None:
            logging.getLogger(_BENTOML_ERROR_LOG).addFilter(WithoutCustomers())
            without_addresses()
            _configure_logs(settings)
            start_tracing()
            with room_for_counts():
                slot.current = open_deployment()
            if settings is not None:
                drain_on_sigterm(slot.drain, settings().drain_seconds)
            if slot.current.live is not None:
                slot.current.live.start(slot.put)
            # Everything loaded so far lives as long as the process: the collector need not look at it again. And what a
            # request makes is gone with it, nearly all without the collector, which took a tenth of its time to look.
            gc.collect()
            gc.freeze()
            gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)

        @bentoml.api(route=paths.SCORE)
        @_worded
        async def score(self, request: ScoreRequest, /) -> ScoreAnswer:
            """Score customers: by id, by several ids, or a whole profile."""
            return await operations.score(slot.deployment, request)

        @bentoml.api(route=paths.RECOMMENDATIONS)
        @_worded
        async def recommendations(self, request: RecommendationRequest, /) -> RecommendationAnswer:
            """Recommend the next best actions; each decision is kept before it is answered."""
            return await operations.recommend(slot.deployment, request)

        @bentoml.api(route=paths.FEEDBACK)
        @_worded
        async def feedback(self, event: FeedbackRequest, /) -> FeedbackAnswer:
            """Keep what became of a recommended action; the same event again changes nothing."""
            return await operations.record_feedback(slot.deployment, event)

        @bentoml.api(route=paths.PANEL_TOKENS)
        @_worded
        async def panel_tokens(self, request: PanelTokenRequest, /) -> PanelTokenAnswer:
            """Sign a token that opens one customer's panel for some minutes."""
            return operations.make_panel_token(slot.deployment, request)

        @bentoml.on_deployment
        @staticmethod
        def above_the_workers() -> None:
            """In the process that starts them."""
            _configure_logs(settings)

        async def __is_ready__(self) -> bool:
            return await is_ready(slot)

        @bentoml.on_shutdown
        def close(self) -> None:
            """Bring to disk what waits for it, and give the databases back."""
            if slot.deployment.live is not None:
                slot.deployment.live.stop()
            slot.deployment.store.close()
            stop_tracing()

    service = cast("EnvelopedService", Foresight)
    service.slot = slot
    service.add_asgi_middleware(cast("Any", Guard), slot=slot)
    service.mount_asgi_app(cast("Any", get_routes(slot)))
    return service


def _worded(method: Callable[_Given, Awaitable[_Answer]]) -> Callable[_Given, Awaitable[_Answer]]:
    """Answers and errors in the shape in which they are sent. Errors become problems here: further out, BentoML would
    log them with their text and answer in another shape."""

    @functools.wraps(method)
    async def answering(*args: _Given.args, **kwargs: _Given.kwargs) -> _Answer:
        try:
            answer = await method(*args, **kwargs)
            # What BentoML would send, without its way there, which takes longer than the writing of it.
            response = Response(answer.model_dump_json(), media_type="application/json")
        except Exception as error:
            response = answered(error).response()
        return cast("_Answer", response)

    return answering


def _configure_logs(settings: Callable[[], ServiceSettings] | None) -> None:
    """The service's log lines, in this process."""
    if settings is not None:
        configure_logging(settings())


def _config() -> str:
    path = os.environ.get(CONFIG_VARIABLE)
    if not path:
        raise UsageError(
            "The service does not know its project.",
            where=CONFIG_VARIABLE,
            fix="Start it with: foresight serve -c foresight.toml",
        )
    return path


def _configured_settings() -> ServiceSettings:
    return load_settings(_config()).service


def _configured_deployment() -> Deployment:
    path = _config()
    from serving.live import LiveModels  # the models' libraries load in the worker only
    from serving.scoring.ledger import ScoreLedger

    settings = load_settings(path)
    require_safe(settings.service, os.environ, settings.service.host)
    limits = Limits.of(settings.service, os.environ)
    live = LiveModels(settings)
    answering = live.first_or_waiting()
    return Deployment(
        answering.source,
        DecisionStore(settings.state_url),
        limits,
        history=ScoreLedger.of(settings).history,
        language=settings.project.language,
        metrics=Metrics(latest_file(settings)) if settings.service.metrics else None,
        challenger=answering.challenger,
        live=live,
    )


Foresight = make_service(_configured_deployment, _configured_settings)
