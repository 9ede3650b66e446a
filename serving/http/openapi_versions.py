"""The OpenAPI 3.1 document as 3.0.3 and as Swagger 2.0, with what a CRM calls: importers of CRMs take no newer one.

Salesforce External Services read 3.0, custom connectors of Power Platform only 2.0 (OpenAPI specifications 2.0, 3.0.3
and 3.1.0 say what differs).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlsplit

from serving.http.openapi_schemas import Schema, mapped

_CALLED_BY_CRMS = {"scores", "decisions"}  # tags; screens show HTML
_SCHEMAS_3, _SCHEMAS_2 = "#/components/schemas/", "#/definitions/"


def as_openapi_3_0(document: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a 3.1 document that a CRM calls, in 3.0.3."""
    paths = {
        path: item
        for path, item in document["paths"].items()
        if all(_CALLED_BY_CRMS.issuperset(operation["tags"]) for operation in item.values())
    }
    tags = {tag for item in paths.values() for operation in item.values() for tag in operation["tags"]}
    components = document["components"]
    return {
        **document,
        "openapi": "3.0.3",
        "tags": [tag for tag in document["tags"] if tag["name"] in tags],
        "paths": paths,
        "components": {
            "schemas": {name: mapped(schema, _schema_3_0) for name, schema in components["schemas"].items()},
            "securitySchemes": {"apiKey": components["securitySchemes"]["apiKey"]},
        },
    }


def _schema_3_0(schema: Schema) -> Schema:
    if "$ref" in schema:
        return {"$ref": schema["$ref"]}  # 3.0 ignores whatever stands beside it
    changed = {key: value for key, value in schema.items() if key not in ("propertyNames", "examples", "const")}
    if isinstance(schema.get("type"), list):
        changed |= _one_type(schema["type"])
    if "examples" in schema:
        changed["example"] = schema["examples"][0]
    if "const" in schema:
        changed["enum"] = [schema["const"]]
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if exclusive in schema:
            changed |= {bound: schema[exclusive], exclusive: True}
    return changed


def _one_type(types: list[str]) -> Schema:
    """An attribute is a number or a text: importers are told text, and the service reads numbers written as one."""
    named = [name for name in types if name != "null"]
    one = named[0] if len(named) == 1 else "string"
    return {"type": one, "nullable": True} if "null" in types else {"type": one}


def as_swagger_2_0(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document of :func:`as_openapi_3_0`, in 2.0."""
    swagger: dict[str, Any] = {
        "swagger": "2.0",
        "info": document["info"],
        **_place(document["servers"][0]["url"]),
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "tags": document["tags"],
        "paths": {
            path: {method: _operation_2_0(operation) for method, operation in item.items()}
            for path, item in document["paths"].items()
        },
        "definitions": {
            name: mapped(schema, _schema_2_0) for name, schema in document["components"]["schemas"].items()
        },
        "securityDefinitions": document["components"]["securitySchemes"],
    }
    if "security" in document:
        swagger["security"] = document["security"]
    return swagger


def _place(server: str) -> dict[str, Any]:
    """Host, path and scheme of the address; without a host they are those that the document was read from."""
    address = urlsplit(server)
    if not address.netloc:
        return {"basePath": "/"}
    return {"host": address.netloc, "basePath": address.path.rstrip("/") or "/", "schemes": [address.scheme]}


def _schema_2_0(schema: Schema) -> Schema:
    if "$ref" in schema:
        return {"$ref": schema["$ref"].replace(_SCHEMAS_3, _SCHEMAS_2)}
    changed = {key: value for key, value in schema.items() if key != "nullable"}
    if schema.get("nullable"):
        changed["x-nullable"] = True
        if "enum" in schema:
            changed["enum"] = [value for value in schema["enum"] if value is not None]
    return changed


def _operation_2_0(operation: Mapping[str, Any]) -> dict[str, Any]:
    changed = {key: value for key, value in operation.items() if key not in ("requestBody", "parameters")}
    parameters = [_parameter_2_0(one) for one in operation.get("parameters", ())]
    if "requestBody" in operation:
        [content] = operation["requestBody"]["content"].values()
        parameters.append({"name": "body", "in": "body", "required": True, "schema": _schema_2_0(content["schema"])})
    if parameters:
        changed["parameters"] = parameters
    changed["responses"] = {status: _response_2_0(one) for status, one in operation["responses"].items()}
    kinds = {kind for one in operation["responses"].values() for kind in one.get("content", ())}
    changed["produces"] = sorted(kinds)
    return changed


def _parameter_2_0(parameter: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in parameter.items() if key not in ("schema", "example")}
    return {**kept, **parameter["schema"], "x-example": parameter["example"]}


def _response_2_0(response: Mapping[str, Any]) -> dict[str, Any]:
    changed: dict[str, Any] = {"description": response["description"]}
    if "headers" in response:
        changed["headers"] = {
            name: {"description": header["description"], **header["schema"]}
            for name, header in response["headers"].items()
        }
    for kind, content in response.get("content", {}).items():
        changed["schema"] = _schema_2_0(content["schema"])
        changed["examples"] = {kind: _example(content)}
    return changed


def _example(content: Mapping[str, Any]) -> Any:
    if "example" in content:
        return content["example"]
    first = next(iter(cast("dict[str, Any]", content["examples"]).values()))
    return first["value"]
