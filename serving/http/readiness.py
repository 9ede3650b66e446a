"""``/readyz``: whether the service answers, with which models, and what an operator should look at."""

from __future__ import annotations

import orjson
from anyio import to_thread
from starlette.responses import Response

from serving.http.deployment import Slot
from serving.http.problems import Problem


async def is_ready(slot: Slot) -> bool:
    """Whether it is not about to stop, there are models, and the store answers."""
    deployment = slot.deployment
    has_models = deployment.live is None or bool(deployment.live.state.champions)
    return not slot.draining and has_models and await to_thread.run_sync(deployment.store.is_available)


async def readiness(slot: Slot) -> Response:
    """The answer of ``/readyz``."""
    deployment = slot.deployment
    state = None if deployment.live is None else deployment.live.state
    notes = () if state is None else state.notes
    if not await is_ready(slot):
        text = " ".join(["The service is not ready.", *notes])
        return Problem(503, "not-ready", text, headers={"Retry-After": "5"}).response()
    body = {
        "status": "ready",
        "models": () if state is None else state.champions,
        "challengers": () if state is None else state.challengers,
        "notes": notes,
    }
    return Response(orjson.dumps(body), media_type="application/json")
