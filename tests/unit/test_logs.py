"""Log lines: what they hold, and that no customer is in them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from kernel.service_settings import ServiceSettings
from serving.http.failures import REQUEST, RequestFacts
from serving.http.logs import configure_logging, log_request


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    names = ("", "foresight", "bentoml", "uvicorn.error", "circus", "uvicorn.access")
    loggers = [logging.getLogger(name) for name in names]
    before = [(one.handlers, one.level, one.propagate, one.disabled) for one in loggers]
    yield io.StringIO()
    for one, (handlers, level, propagate, disabled) in zip(loggers, before, strict=True):
        one.handlers, one.propagate, one.disabled = handlers, propagate, disabled
        one.setLevel(level)


def test_a_request_is_one_json_object(lines: io.StringIO) -> None:
    configure_logging(ServiceSettings(log_format="json"), lines)
    token = REQUEST.set(RequestFacts("crm-1", key="crm", trace_id="a" * 32))
    log_request("POST", "/v1/score", 200, 0.0123456)
    REQUEST.reset(token)
    found = json.loads(lines.getvalue())
    assert found.pop("time").endswith("+00:00")
    assert found == {
        "level": "info",
        "logger": "foresight.access",
        "message": "POST /v1/score 200 12.346 ms",
        "method": "POST",
        "route": "/v1/score",
        "status": 200,
        "milliseconds": 12.346,
        "request_id": "crm-1",
        "key": "crm",
        "trace_id": "a" * 32,
    }


def test_text_says_each_fact_once(lines: io.StringIO) -> None:
    configure_logging(ServiceSettings(), lines)
    token = REQUEST.set(RequestFacts("crm-1", error="ValueError"))
    log_request("GET", "/panel/{customer_id}", 500, 0.002)
    REQUEST.reset(token)
    time, _, rest = lines.getvalue().partition(" ")
    assert len(time) == len("2026-11-26T23:00:00.000+00:00")
    assert rest == "INFO foresight.access GET /panel/{customer_id} 500 2.0 ms request_id=crm-1 error=ValueError\n"


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_exceptions_message_stays_out_and_its_place_is_told(lines: io.StringIO, form: str) -> None:
    configure_logging(ServiceSettings.model_validate({"log_format": form}), lines)
    try:
        float("Ada Lovelace")
    except ValueError:
        logging.getLogger("some.library").exception("cannot read a number")
    assert "Ada" not in lines.getvalue()
    assert "cannot read a number" in lines.getvalue() and "ValueError" in lines.getvalue()
    assert "test_logs.py" in lines.getvalue()


def test_the_level_is_that_of_the_service_and_libraries_are_heard_from_warnings_on(lines: io.StringIO) -> None:
    configure_logging(ServiceSettings(log_level="debug"), lines)
    logging.getLogger("foresight.x").debug("ours")
    logging.getLogger("some.library").info("theirs")
    logging.getLogger("uvicorn.access").critical("GET /panel/1609")
    assert [line.split(" ", 3)[3] for line in lines.getvalue().splitlines()] == ["ours"]
    configure_logging(ServiceSettings(log_level="warning"), lines)
    log_request("GET", "/", 200, 0.001)
    assert len(lines.getvalue().splitlines()) == 1
