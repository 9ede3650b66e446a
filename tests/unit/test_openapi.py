"""The interface's description in its three versions: valid, with examples that fit, and plain enough for importers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_schema_validator import OAS30Validator
from openapi_spec_validator import OpenAPIV2SpecValidator, OpenAPIV30SpecValidator, OpenAPIV31SpecValidator
from openapi_spec_validator import validate as validate_document

from serving import http, schemas
from serving.http.openapi import openapi_document
from serving.http.openapi_schemas import schema_examples
from serving.http.openapi_versions import as_openapi_3_0
from serving.http.paths import OpenApiVersion
from serving.http.problem_kinds import KINDS

VALIDATORS = {
    OpenApiVersion.V3_1: OpenAPIV31SpecValidator,
    OpenApiVersion.V3_0: OpenAPIV30SpecValidator,
    OpenApiVersion.V2_0: OpenAPIV2SpecValidator,
}
OLDER = [OpenApiVersion.V3_0, OpenApiVersion.V2_0]


def document(version: OpenApiVersion, **options: Any) -> Any:
    return json.loads(openapi_document(version, **{"secured": True, **options}))


def operations(version: OpenApiVersion) -> dict[str, Any]:
    items = document(version)["paths"].values()
    return {operation["operationId"]: operation for item in items for operation in item.values()}


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of a JSON document."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from parts(one)


@pytest.mark.parametrize("version", OpenApiVersion)
@pytest.mark.parametrize("server", [".", "https://scores.example.com/customers/"])
def test_it_keeps_its_specification(version: OpenApiVersion, server: str) -> None:
    validate_document(document(version, server=server), cls=VALIDATORS[version])


@pytest.mark.parametrize("version", OpenApiVersion)
def test_there_is_no_union(version: OpenApiVersion) -> None:
    unions = [key for part in parts(document(version)) for key in ("anyOf", "oneOf", "allOf", "not") if key in part]
    assert unions == []


@pytest.mark.parametrize("version", OLDER)
def test_what_importers_read_has_one_type_a_value(version: OpenApiVersion) -> None:
    newer = {"const", "examples", "propertyNames", "patternProperties", "$defs", "prefixItems"}
    found = document(version)
    described = found["definitions"] if version is OpenApiVersion.V2_0 else found["components"]["schemas"]
    for part in parts(described):
        assert not isinstance(part.get("type"), list)
        assert newer.isdisjoint(part)
        assert "$ref" not in part or len(part) == 1
    assert len(openapi_document(version, secured=True)) < 1_000_000


def test_they_hold_what_a_crm_calls() -> None:
    called = ["score", "recommend", "recordFeedback", "makePanelToken", "getCustomer", "getChanges"]
    assert list(operations(OpenApiVersion.V3_0)) == list(operations(OpenApiVersion.V2_0)) == called
    assert [name for name in operations(OpenApiVersion.V3_1) if name in called] == called


def test_nullable_in_each_version() -> None:
    def band(version: OpenApiVersion) -> Any:
        found = document(version)
        described = found.get("definitions") or found["components"]["schemas"]
        return described["CustomerInsight"]["properties"]["churn_band"]

    words = ["low", "medium", "high"]
    assert band(OpenApiVersion.V3_1) == {"type": ["string", "null"], "enum": [*words, None]}
    assert band(OpenApiVersion.V3_0) == {"type": "string", "nullable": True, "enum": [*words, None]}
    assert band(OpenApiVersion.V2_0) == {"type": "string", "x-nullable": True, "enum": words}


def test_bounds_and_constants_in_3_0() -> None:
    schema = {"properties": {"a": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 9}, "b": {"const": 1}}}
    whole = document(OpenApiVersion.V3_1)
    whole["components"]["schemas"] = {"One": schema}
    assert as_openapi_3_0(whole)["components"]["schemas"]["One"]["properties"] == {
        "a": {"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 9, "exclusiveMaximum": True},
        "b": {"enum": [1]},
    }


def test_an_attribute_is_a_text_for_importers() -> None:
    for version, expected in (
        (OpenApiVersion.V3_1, {"type": ["number", "string", "null"]}),
        (OpenApiVersion.V3_0, {"type": "string", "nullable": True}),
    ):
        customer = document(version)["components"]["schemas"]["CustomerInput"]
        values = customer["properties"]["attributes"]["additionalProperties"]
        assert {key: values[key] for key in expected} == expected


def test_the_place_of_the_service() -> None:
    given = "https://scores.example.com:8443/customers/"
    assert document(OpenApiVersion.V3_0, server=given)["servers"] == [{"url": given}]
    found = document(OpenApiVersion.V2_0, server=given)
    assert (found["host"], found["basePath"], found["schemes"]) == ("scores.example.com:8443", "/customers", ["https"])
    relative = document(OpenApiVersion.V2_0)
    assert "host" not in relative
    assert relative["basePath"] == "/"


def test_security() -> None:
    newest, oldest = document(OpenApiVersion.V3_1), document(OpenApiVersion.V2_0)
    key = {"type": "apiKey", "in": "header", "name": "X-API-Key"}
    for schemes in (newest["components"]["securitySchemes"], oldest["securityDefinitions"]):
        assert {name: schemes["apiKey"][name] for name in key} == key
    assert newest["security"] == oldest["security"] == [{"apiKey": []}]
    by_name = operations(OpenApiVersion.V3_1)
    assert by_name["getPanel"]["security"] == [{"apiKey": []}, {"panelToken": []}]
    assert by_name["isAlive"]["security"] == []
    assert all("security" not in part for part in parts(document(OpenApiVersion.V3_1, secured=False)))


@pytest.mark.parametrize("version", OpenApiVersion)
def test_every_operation_is_described(version: OpenApiVersion) -> None:
    found = operations(version)
    assert all(re.fullmatch("[a-z][A-Za-z]+", name) for name in found)
    tags = {tag["name"] for tag in document(version)["tags"]}
    assert tags == {tag for operation in found.values() for tag in operation["tags"]}
    for operation in found.values():
        assert operation["summary"]
        assert operation["description"].endswith(".")


def kinds_in_code() -> set[str]:
    """The kinds of problem that the sources of the HTTP layer name."""
    sources = "".join(path.read_text("utf-8") for path in Path(http.__path__[0]).glob("*.py"))
    return set(re.findall(r'(?:Problem\(|Error, |\d{3}: \()\s*(?:\d{3}, )?"([a-z-]+)"', sources))


def test_every_problem_is_described_and_there_is_no_other() -> None:
    assert kinds_in_code() - set(KINDS) - {"refused"} == set()
    described = {
        kind
        for operation in operations(OpenApiVersion.V3_1).values()
        for response in operation["responses"].values()
        for content in response.get("content", {}).values()
        for kind in content.get("examples", {})
    }
    assert described == set(KINDS) - {"method-not-allowed"}  # which is of the methods that are not described
    for operation in operations(OpenApiVersion.V3_1).values():
        for status, response in operation["responses"].items():
            for content in response.get("content", {}).values():
                for kind, example in content.get("examples", {}).items():
                    assert example["value"]["type"] == f"urn:foresight:problem:{kind}"
                    assert example["value"]["status"] == int(status) == KINDS[kind].status


@pytest.mark.parametrize("name", sorted(schema_examples()))
def test_examples_fit_the_types_that_read_them(name: str) -> None:
    model = getattr(schemas, name)
    for example in schema_examples()[name]:
        read = model.model_validate_json(json.dumps(example))
        assert json.loads(read.model_dump_json(exclude_unset=True)) == example


@pytest.mark.parametrize("version", OpenApiVersion)
def test_examples_fit_their_schemas(version: OpenApiVersion) -> None:
    found = document(version)
    if version is OpenApiVersion.V2_0:  # validated as the 3.0 that it came from: JSON Schema knows no x-nullable
        found = json.loads(json.dumps(found).replace("#/definitions/", "#/components/schemas/"))
        found["components"] = {"schemas": nullable(found.pop("definitions"))}
    validator = Draft202012Validator if version is OpenApiVersion.V3_1 else OAS30Validator
    checked = 0
    for schema in found["components"]["schemas"].values():
        for example in schema.get("examples", [schema["example"]] if "example" in schema else []):
            validator({**schema, "components": found["components"]}).validate(example)
            checked += 1
    for place in parts(found["paths"]):
        schema = place.get("schema", place)
        examples = [place["example"]] if "example" in place else []
        examples += [place["x-example"]] if "x-example" in place else []
        examples += [one.get("value", one) for one in place.get("examples", {}).values()]
        for example in examples:
            validator({**schema, "components": found["components"]}).validate(example)
            checked += 1
    assert checked > 25


def nullable(value: Any) -> Any:
    if isinstance(value, dict):
        changed = {("nullable" if key == "x-nullable" else key): nullable(one) for key, one in value.items()}
        return changed | ({"enum": [*changed["enum"], None]} if "nullable" in changed and "enum" in changed else {})
    return [nullable(one) for one in value] if isinstance(value, list) else value
