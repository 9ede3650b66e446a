"""Named bad inputs to the application: each is refused as the client's mistake, none fails the service."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest

from serving.feedback.store import DecisionStore, StoreCounts
from serving.http.deployment import Deployment, Limits
from tests.doubles.insights import InsightDouble, running

NOW = datetime.fromisoformat("2017-11-02T09:00:00+00:00")
JSON = {"Content-Type": "application/json"}
KNOWN = b'{"customer_id": "1609"}'
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's own


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> DecisionStore:
    return DecisionStore(f"sqlite:///{tmp_path_factory.mktemp('state') / 'decisions.db'}")


@pytest.fixture(scope="module")
def service(store: DecisionStore) -> Iterator[httpx.Client]:
    with running(lambda: Deployment(InsightDouble(), store, Limits(2_000_000, 1000), clock=lambda: NOW)) as client:
        yield client


def told(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["type"].removeprefix("urn:foresight:problem:")


def line(**changes: Any) -> bytes:
    row = {"transaction_id": "t", "event_time": "2017-10-01", "amount": 1.0} | changes
    return json.dumps({"profile": {"customer": {"customer_id": "x"}, "transactions": [row]}}).encode()


def attribute(value: str) -> bytes:
    return b'{"profile": {"customer": {"customer_id": "x", "attributes": {"age": %s}}}}' % value.encode()


MALFORMED = (400, "malformed-json")
TOO_DEEP = (400, "json-too-deep")
INVALID = (400, "invalid-request")
UNKNOWN = (404, "not-found")
BODIES: dict[str, tuple[bytes, tuple[int, str]]] = {
    "10,000 ids": (json.dumps({"customer_ids": [str(i) for i in range(10_000)]}).encode(), (413, "too-many-ids")),
    "10 MB": (b'{"customer_id": "' + b"x" * 10_000_000 + b'"}', (413, "body-too-large")),
    "deep lists": (b"[" * 500_000, TOO_DEEP),
    "deep objects": (b'{"profile": ' * 30_000 + b"1" + b"}" * 30_000, TOO_DEEP),
    "no object": (b"[]", INVALID),
    "null": (b"null", INVALID),
    "a field given twice": (b'{"customer_id": "1609", "customer_id": "2"}', INVALID),
    "two documents": (KNOWN + KNOWN, MALFORMED),
    "a comment": (b'{/* */"customer_id": "1609"}', MALFORMED),
    "SQL in an id": (b'{"customer_id": "1\'; DROP TABLE decisions; --"}', UNKNOWN),
    "HTML in an id": (b'{"customer_id": "<script>alert(1)</script>"}', UNKNOWN),
    "NUL in an id": (b'{"customer_id": "a\\u0000b"}', INVALID),
    "NUL in a text": (line(category="a\0b"), INVALID),
    "an id of spaces": (b'{"customer_id": "  "}', INVALID),
    "a lone surrogate": (b'{"customer_id": "\\ud800"}', MALFORMED),
    "a surrogate as UTF-8": (b'{"customer_id": "\xed\xa0\x80"}', MALFORMED),
    "Latin-1": ('{"customer_id": "é"}'.encode("latin-1"), MALFORMED),
    "UTF-16": ('{"customer_id": "1609"}'.encode("utf-16"), MALFORMED),
    "a byte order mark": (b"\xef\xbb\xbf" + KNOWN, MALFORMED),
    "a number of 5,000 digits": (attribute("9" * 5000), MALFORMED),
    "a number beyond doubles": (attribute("1e400"), INVALID),
    "NaN": (attribute("NaN"), INVALID),
    "Infinity": (attribute("-Infinity"), INVALID),
    "an amount beyond all money": (line(amount=1e300), INVALID),
    "the first day of the calendar": (line(event_time="0001-01-01T00:00:00+14:00"), INVALID),
    "the last day of the calendar": (line(event_time="9999-12-31T23:59:59-14:00"), INVALID),
    "seconds beyond the calendar": (line(event_time=1e18), INVALID),
}


@pytest.mark.parametrize("case", BODIES)
@pytest.mark.parametrize("path", ["/v1/score", "/v1/recommendations"])
def test_bodies(service: httpx.Client, store: DecisionStore, path: str, case: str) -> None:
    body, expected = BODIES[case]
    assert told(service.post(path, content=body, headers=JSON)) == expected
    assert store.counts() == StoreCounts(0, 0, 0)


@pytest.mark.parametrize("value", ["1e400", "NaN", "[1]"])
def test_a_wrong_attribute_has_its_own_path(service: httpx.Client, value: str) -> None:
    errors = service.post("/v1/score", content=attribute(value), headers=JSON).json()["errors"]
    assert {error["field"] for error in errors} == {"profile.customer.attributes.age"}


def test_a_field_given_twice_is_named_and_no_value(service: httpx.Client) -> None:
    body = b'{"profile": {"customer": {"customer_id": "x", "attributes": {"age": 1, "age": 2}}}}'
    answer = service.post("/v1/score", content=body, headers=JSON).json()
    assert answer["detail"] == "A field is given twice."
    assert answer["errors"] == [
        {"field": "profile.customer.attributes.age", "message": "This key stands twice in its object."}
    ]


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (KNOWN, {"Content-Type": "text/plain"}),
        (KNOWN, {"Content-Type": ""}),
        (b"customer_id=1609", {"Content-Type": "application/x-www-form-urlencoded"}),
        (b"--a--", {"Content-Type": "multipart/form-data; boundary=a"}),
        (gzip.compress(KNOWN, mtime=0), {**JSON, "Content-Encoding": "gzip"}),
        (KNOWN, {**JSON, "Content-Encoding": "br"}),
    ],
)
def test_other_types_and_encodings(service: httpx.Client, content: bytes, headers: dict[str, str]) -> None:
    assert told(service.post("/v1/score", content=content, headers=headers)) == (415, "unsupported-media-type")


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/v1/score", "/v1/customers/1609", "/panel/1609", "/", "/metrics", "/livez"])
def test_other_methods(service: httpx.Client, method: str, path: str) -> None:
    assert told(service.request(method, path)) == (405, "method-not-allowed")


def test_head_has_no_body(service: httpx.Client) -> None:
    assert (service.head("/v1/score").status_code, service.head("/v1/score").content) == (405, b"")
    assert (service.head("/v1/customers/1609").status_code, service.head("/v1/customers/1609").content) == (200, b"")


@pytest.mark.parametrize("part", ["%00", "%FF%FE", "%ED%A0%80", "x" * 5000, "a%2Fb", "..%2F..%2Fetc", "'%20OR%201=1"])
def test_ids_in_the_address(service: httpx.Client, part: str) -> None:
    assert told(service.get(f"/v1/customers/{part}")) == UNKNOWN
    assert service.get(f"/panel/{part}").status_code == 404
