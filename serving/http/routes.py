"""The GET routes: one customer, the start page, the API's description; those of the panel are beside it."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable

from anyio import to_thread
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.answers import AnswerContext
from serving.http import operations, paths
from serving.http.deployment import Deployment, Slot
from serving.http.failures import answered
from serving.http.metrics import CONTENT_TYPE
from serving.http.openapi import openapi_document
from serving.http.panel_routes import card, element_file, html_page, page_of_failure, panel
from serving.http.paths import OpenApiVersion
from serving.http.problems import problem_of_response
from serving.panel.index import render_index

Endpoint = Callable[[Request], Awaitable[Response]]
_KEEPING = tuple(path.removesuffix("{customer_id}") for path in (paths.PANEL, paths.CARD))


def get_routes(slot: Slot) -> Starlette:
    """The application that BentoML mounts beside its own methods."""
    customer_id = "{customer_id:path}"
    endpoints: dict[str, Endpoint] = {
        paths.CUSTOMER.replace("{customer_id}", customer_id): _of_customer(slot, operations.customer),
        paths.CHANGES.replace("{customer_id}", customer_id): _of_customer(slot, operations.changes),
        paths.PANEL.replace("{customer_id}", customer_id): panel(slot),
        paths.CARD.replace("{customer_id}", customer_id): card(slot),
        paths.ELEMENT: element_file(),
        paths.INDEX: _index(slot),
        paths.METRICS: _metrics(slot),
        paths.OPENAPI: _openapi(slot, OpenApiVersion.V3_1),
        paths.DOCS: _openapi(slot, OpenApiVersion.V3_1),
        paths.OPENAPI_3_0: _openapi(slot, OpenApiVersion.V3_0),
        paths.OPENAPI_2_0: _openapi(slot, OpenApiVersion.V2_0),
    }
    routes = [Route(path, endpoint, methods=["GET"]) for path, endpoint in endpoints.items()]
    for route in routes:
        if route.path.startswith(_KEEPING):
            route.methods = {"GET"}  # Starlette adds HEAD, by which nobody sees the decision that would be kept
    return Starlette(routes=routes)


def _of_customer(slot: Slot, operation: Callable[[Deployment, str], Awaitable[BaseModel]]) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        try:
            answer = await operation(slot.deployment, request.path_params["customer_id"])
        except Exception as error:
            return answered(error).response()
        return Response(answer.model_dump_json(), media_type="application/json")

    return endpoint


def _index(slot: Slot) -> Endpoint:
    async def index(request: Request) -> Response:
        deployment = slot.deployment
        source, nonce = deployment.source, secrets.token_urlsafe(16)
        try:
            page = render_index(AnswerContext.of(source), source.as_of, nonce=nonce)
        except Exception as error:
            return page_of_failure(error, request, deployment)
        return html_page(page, nonce, deployment)

    return index


def _metrics(slot: Slot) -> Endpoint:
    async def metrics(_: Request) -> Response:
        deployment = slot.deployment
        if deployment.metrics is None:
            return problem_of_response(404, b"").response()
        # It reads files and the online store.
        page = await to_thread.run_sync(deployment.metrics.page, deployment.source)
        return Response(page, headers={"Content-Type": CONTENT_TYPE})

    return metrics


def _openapi(slot: Slot, version: OpenApiVersion) -> Endpoint:
    async def openapi(_: Request) -> Response:
        secured = bool(slot.deployment.limits.keys)
        return Response(openapi_document(version, secured=secured), media_type="application/json")

    return openapi
