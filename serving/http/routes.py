"""The GET routes: one customer, the panel, the start page, the API's description."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from kernel.errors import NotFoundError
from serving.answers import AnswerContext
from serving.http import operations, paths
from serving.http.deployment import Deployment, Slot
from serving.http.failures import answered
from serving.http.openapi import openapi_document
from serving.http.paths import OpenApiVersion
from serving.panel import content_security_policy, render_message, render_panel
from serving.panel.index import render_index
from serving.panel.render import FEEDBACK_PATH

Endpoint = Callable[[Request], Awaitable[Response]]


def get_routes(slot: Slot) -> Starlette:
    """The application that BentoML mounts beside its own methods."""
    customer_id = "{customer_id:path}"
    endpoints: dict[str, Endpoint] = {
        paths.CUSTOMER.replace("{customer_id}", customer_id): _of_customer(slot, operations.customer),
        paths.CHANGES.replace("{customer_id}", customer_id): _of_customer(slot, operations.changes),
        paths.PANEL.replace("{customer_id}", customer_id): _panel(slot),
        paths.INDEX: _index(slot),
        paths.OPENAPI: _openapi(slot, OpenApiVersion.V3_1),
        paths.DOCS: _openapi(slot, OpenApiVersion.V3_1),
        paths.OPENAPI_3_0: _openapi(slot, OpenApiVersion.V3_0),
        paths.OPENAPI_2_0: _openapi(slot, OpenApiVersion.V2_0),
    }
    return Starlette(routes=[Route(path, endpoint, methods=["GET"]) for path, endpoint in endpoints.items()])


def _of_customer(slot: Slot, operation: Callable[[Deployment, str], Awaitable[BaseModel]]) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        try:
            answer = await operation(slot.deployment, request.path_params["customer_id"])
        except Exception as error:
            return answered(error).response()
        return Response(answer.model_dump_json(), media_type="application/json")

    return endpoint


def _panel(slot: Slot) -> Endpoint:
    async def panel(request: Request) -> Response:
        deployment = slot.deployment
        try:
            insight, changes = await operations.insight_to_show(deployment, request.path_params["customer_id"])
        except Exception as error:
            return _panel_failure(error)
        nonce = secrets.token_urlsafe(16)
        context = AnswerContext.of(deployment.source)
        page = render_panel(insight, context, changes=changes, nonce=nonce, feedback_url=FEEDBACK_PATH)
        return _page(page, nonce)

    return panel


def _panel_failure(error: Exception) -> Response:
    problem = answered(error)
    if isinstance(error, NotFoundError):
        title, text = "No such customer", "No customer with this id is known. Check the id in the address."
    else:
        title, text = "No insight at the moment", "The service cannot answer now. Try again in a moment."
    nonce = secrets.token_urlsafe(16)
    return _page(render_message(title, text, nonce=nonce), nonce, problem.status)


def _index(slot: Slot) -> Endpoint:
    async def index(_: Request) -> Response:
        source = slot.deployment.source
        nonce = secrets.token_urlsafe(16)
        return _page(render_index(AnswerContext.of(source), source.as_of, nonce=nonce), nonce)

    return index


def _openapi(slot: Slot, version: OpenApiVersion) -> Endpoint:
    async def openapi(_: Request) -> Response:
        secured = bool(slot.deployment.limits.key_digests)
        return Response(openapi_document(version, secured=secured), media_type="application/json")

    return openapi


def _page(html: str, nonce: str, status: int = 200) -> Response:
    return HTMLResponse(html, status, headers={"Content-Security-Policy": content_security_policy(nonce)})
