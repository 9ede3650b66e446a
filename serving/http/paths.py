"""The paths the service answers; whatever is not here does not exist."""

from __future__ import annotations

from enum import StrEnum

SCORE = "/v1/score"
RECOMMENDATIONS = "/v1/recommendations"
FEEDBACK = "/v1/feedback"
CUSTOMER = "/v1/customers/{customer_id}"
CHANGES = "/v1/changes/{customer_id}"
PANEL = "/panel/{customer_id}"
INDEX = "/"
OPENAPI = "/openapi.json"
OPENAPI_3_0 = "/openapi-3.0.json"
OPENAPI_2_0 = "/openapi-2.0.json"
DOCS = "/docs.json"
METRICS = "/metrics"
LIVEZ, READYZ, HEALTHZ = "/livez", "/readyz", "/healthz"
OTHER = "/other"

HEALTH = frozenset({LIVEZ, READYZ, HEALTHZ})
POSTS = frozenset({SCORE, RECOMMENDATIONS, FEEDBACK})
DOCUMENTS = frozenset({OPENAPI, DOCS, OPENAPI_3_0, OPENAPI_2_0})
_FIXED = frozenset({*POSTS, *DOCUMENTS, *HEALTH, INDEX, METRICS})
_WITH_ID = tuple((template.removesuffix("{customer_id}"), template) for template in (CUSTOMER, CHANGES, PANEL))


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
