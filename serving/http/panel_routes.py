"""The insight card over HTTP: as a page, as the HTML that the element puts into its page, and the element itself."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from kernel.errors import NotFoundError
from serving.http import operations
from serving.http.deployment import Deployment, Slot
from serving.http.envelope import REAL_QUERY
from serving.http.failures import answered
from serving.panel import (
    Notice,
    Theme,
    Words,
    card_page,
    content_security_policy,
    element_script,
    notice_page,
    words_for,
)

Endpoint = Callable[[Request], Awaitable[Response]]


def panel(slot: Slot) -> Endpoint:
    """A page with the card of one customer."""

    async def endpoint(request: Request) -> Response:
        deployment, customer_id = slot.deployment, request.path_params["customer_id"]
        words, theme, nonce = _words(request, deployment), _theme(request), secrets.token_urlsafe(16)
        try:
            shown = await operations.card(deployment, customer_id, words)
        except Exception as error:
            return page_of_failure(error, request, deployment, customer_id)
        return html_page(card_page(words, shown, customer_id, nonce=nonce, theme=theme), nonce, deployment)

    return endpoint


def card(slot: Slot) -> Endpoint:
    """The card of one customer, for the element."""

    async def endpoint(request: Request) -> Response:
        deployment = slot.deployment
        words = _words(request, deployment)
        try:
            shown = await operations.card(deployment, request.path_params["customer_id"], words)
        except Exception as error:
            return answered(error).response()
        return HTMLResponse(shown, headers={"Content-Language": words.language})

    return endpoint


def element_file() -> Endpoint:
    """The element's file, the same for everybody until the next release."""

    async def endpoint(request: Request) -> Response:
        script, tag = element_script()
        headers = {
            "ETag": tag,
            "Cache-Control": "public, max-age=300",
            "Cross-Origin-Resource-Policy": "cross-origin",
        }
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(script, media_type="text/javascript", headers=headers)

    return endpoint


def page_of_failure(error: Exception, request: Request, deployment: Deployment, customer_id: str = "") -> Response:
    """A page that says why there is nothing to show."""
    notice = Notice.UNKNOWN if isinstance(error, NotFoundError) else Notice.UNAVAILABLE
    words, theme, nonce = _words(request, deployment), _theme(request), secrets.token_urlsafe(16)
    page = notice_page(notice, words, customer_id, nonce=nonce, theme=theme)
    problem = answered(error)
    return html_page(page, nonce, deployment, problem.status, problem.headers)


def html_page(
    html: str, nonce: str, deployment: Deployment, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A page under the policy of its nonce."""
    policy = content_security_policy(nonce, deployment.limits.frame_ancestors)
    return HTMLResponse(html, status, headers={**(headers or {}), "Content-Security-Policy": policy})


def _words(request: Request, deployment: Deployment) -> Words:
    return words_for(_query(request).get("lang"), request.headers.get("accept-language"), deployment.language)


def _theme(request: Request) -> Theme | None:
    match _query(request).get("theme"):
        case "light":
            return "light"
        case "dark":
            return "dark"
        case _:
            return None


def _query(request: Request) -> QueryParams:
    # BentoML sees none, so that none is logged.
    return QueryParams(request.scope.get(REAL_QUERY, b""))
