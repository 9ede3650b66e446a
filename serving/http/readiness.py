"""``/readyz``: whether the service answers, with which models, and what an operator should look at."""

from __future__ import annotations

import orjson
from anyio import to_thread
from starlette.responses import Response

from serving.http.deployment import Deployment
from serving.http.problems import Problem


async def is_ready(deployment: Deployment) -> bool:
    """Whether there are models and the store answers."""
    has_models = deployment.live is None or bool(deployment.live.state.champions)
    return has_models and await to_thread.run_sync(deployment.store.is_available)


async def readiness(deployment: Deployment) -> Response:
    """The answer of ``/readyz``."""
    state = None if deployment.live is None else deployment.live.state
    notes = () if state is None else state.notes
    if not await is_ready(deployment):
        text = " ".join(["The service is not ready.", *notes])
        return Problem(503, "not-ready", text, headers={"Retry-After": "5"}).response()
    body = {
        "status": "ready",
        "models": () if state is None else state.champions,
        "challengers": () if state is None else state.challengers,
        "notes": notes,
    }
    return Response(orjson.dumps(body), media_type="application/json")
