"""The paths the service answers; whatever is not here does not exist."""

from __future__ import annotations

SCORE = "/v1/score"
RECOMMENDATIONS = "/v1/recommendations"
FEEDBACK = "/v1/feedback"
CUSTOMER = "/v1/customers/{customer_id}"
CHANGES = "/v1/changes/{customer_id}"
PANEL = "/panel/{customer_id}"
CARD = "/v1/card/{customer_id}"
ELEMENT = "/customer-insight.js"
INDEX = "/"
OPENAPI = "/openapi.json"
DOCS = "/docs.json"
METRICS = "/metrics"
LIVEZ, READYZ, HEALTHZ = "/livez", "/readyz", "/healthz"
OTHER = "/other"

HEALTH = frozenset({LIVEZ, READYZ, HEALTHZ})
PUBLIC = HEALTH | {ELEMENT}  # the element's file holds no data, and a page loads it without a key
POSTS = frozenset({SCORE, RECOMMENDATIONS, FEEDBACK})
_FIXED = frozenset({SCORE, RECOMMENDATIONS, FEEDBACK, INDEX, OPENAPI, DOCS, ELEMENT, METRICS, LIVEZ, READYZ, HEALTHZ})
_WITH_ID = tuple((template.removesuffix("{customer_id}"), template) for template in (CUSTOMER, CHANGES, PANEL, CARD))


def template_of(path: str) -> str:
    """The route's template (``/panel/{customer_id}``), or ``/other``: ids must not become labels of metrics."""
    if path in _FIXED:
        return path
    for prefix, template in _WITH_ID:
        if path.startswith(prefix) and len(path) > len(prefix):
            return template
    return OTHER
