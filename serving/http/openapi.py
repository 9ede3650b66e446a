"""The interface as OpenAPI: BentoML's own document knows neither the GET routes, nor the key, nor our errors."""

from __future__ import annotations

from functools import cache
from typing import Any

import orjson

from serving.http.openapi_operations import TAGS, path_items
from serving.http.openapi_schemas import component_schemas
from serving.http.openapi_versions import as_openapi_3_0, as_swagger_2_0
from serving.http.paths import OpenApiVersion

_VERSION = "1.0.0"
_DESCRIPTION = (
    "Churn, lifetime value and the next best action of customers. Errors are RFC 9457 problems; any path answers 405 "
    "to a method that is not listed here."
)


@cache
def openapi_document(version: OpenApiVersion, *, secured: bool, server: str = ".") -> bytes:
    """The document, as JSON.

    Args:
        secured: whether an API key is asked for.
        server: the address of the service; the default is the place that the document was read from.
    """
    document = _openapi_3_1(server, secured=secured)
    if version is OpenApiVersion.V3_0:
        document = as_openapi_3_0(document)
    elif version is OpenApiVersion.V2_0:
        document = as_swagger_2_0(as_openapi_3_0(document))
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)


def _openapi_3_1(server: str, *, secured: bool) -> dict[str, Any]:
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "foresight",
            "version": _VERSION,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "servers": [{"url": server}],
        "tags": [{"name": name, "description": description} for name, description in TAGS.items()],
        "paths": path_items(),
        "components": {
            "schemas": component_schemas(),
            "securitySchemes": {
                "apiKey": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-API-Key",
                    "description": "one of the keys whose digests [service] of foresight.toml holds",
                },
                "panelToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "a short-lived token for the insight card of one customer",
                },
            },
        },
    }
    if secured:
        document["security"] = [{"apiKey": []}]
    else:
        # Where no key is asked for, an operation must not ask for one either.
        for item in document["paths"].values():
            for operation in item.values():
                operation.pop("security", None)
    return document
