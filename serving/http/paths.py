"""The paths the service answers; whatever is not here does not exist."""

from __future__ import annotations

from enum import StrEnum

from kernel.service_settings import Scope

SCORE = "/v1/score"
RECOMMENDATIONS = "/v1/recommendations"
FEEDBACK = "/v1/feedback"
PANEL_TOKENS = "/v1/panel-tokens"
CUSTOMER = "/v1/customers/{customer_id}"
CHANGES = "/v1/changes/{customer_id}"
PANEL = "/panel/{customer_id}"
CARD = "/v1/card/{customer_id}"
ELEMENT = "/customer-insight.js"
INDEX = "/"
OPENAPI = "/openapi.json"
OPENAPI_3_0 = "/openapi-3.0.json"
OPENAPI_2_0 = "/openapi-2.0.json"
DOCS = "/docs.json"
METRICS = "/metrics"
LIVEZ, READYZ, HEALTHZ = "/livez", "/readyz", "/healthz"
OTHER = "/other"

HEALTH = frozenset({LIVEZ, READYZ, HEALTHZ})
PUBLIC = HEALTH | {ELEMENT}  # the element's file holds no data, and a page loads it without a key
POSTS = frozenset({SCORE, RECOMMENDATIONS, FEEDBACK, PANEL_TOKENS})
DOCUMENTS = frozenset({OPENAPI, DOCS, OPENAPI_3_0, OPENAPI_2_0})
ANY_KEY = DOCUMENTS | {INDEX, OTHER}
BY_TOKEN = frozenset({PANEL, CARD, CUSTOMER, CHANGES, FEEDBACK})
SCOPES = {
    SCORE: Scope.READ,
    CUSTOMER: Scope.READ,
    CHANGES: Scope.READ,
    PANEL: Scope.READ,
    CARD: Scope.READ,
    RECOMMENDATIONS: Scope.WRITE,
    FEEDBACK: Scope.WRITE,
    PANEL_TOKENS: Scope.WRITE,
    METRICS: Scope.ADMIN,
}
_FIXED = POSTS | PUBLIC | DOCUMENTS | {INDEX, METRICS}
_WITH_ID = tuple((template.removesuffix("{customer_id}"), template) for template in (CUSTOMER, CHANGES, PANEL, CARD))


class OpenApiVersion(StrEnum):
    """The versions of the description; the older ones are for importers of CRMs, and hold what a CRM calls."""

    V3_1 = "3.1"
    V3_0 = "3.0"
    V2_0 = "2.0"


def template_of(path: str) -> str:
    """The route's template (``/panel/{customer_id}``), or ``/other``: ids must not become labels of metrics."""
    if path in _FIXED:
        return path
    for prefix, template in _WITH_ID:
        if path.startswith(prefix) and len(path) > len(prefix):
            return template
    return OTHER


def scope_of(template: str) -> Scope | None:
    """What a key must be good for; None where any will do. A path of which nothing is said is for administrators."""
    return None if template in ANY_KEY else SCOPES.get(template, Scope.ADMIN)


def customer_of(template: str, path: str) -> str:
    """The customer's id in a path of this template."""
    return path.removeprefix(template.removesuffix("{customer_id}"))
