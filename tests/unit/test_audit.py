"""The audit of the locked packages, with a double in place of the database."""

from __future__ import annotations

import importlib.util
import json
import sys
import threading
from collections.abc import Sequence
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from urllib.error import URLError

import pytest

ROOT = Path(__file__).resolve().parents[2]
TODAY = date(2026, 11, 27)
PACKAGES = [("jinja2", "2.4.1"), ("orjson", "3.11.0")]
ACCEPTED = """
[[accepted]]
id = "GHSA-1"
package = "jinja2"
reason = "no template of a stranger is rendered"
until = {until}
"""


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["audit"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def knows(*ids: str) -> object:
    return lambda packages: [list(ids) if name == "jinja2" else [] for name, _ in packages]


def test_a_known_vulnerability_fails(audit: ModuleType) -> None:
    assert audit.audit(PACKAGES, [], TODAY, knows("GHSA-1", "PYSEC-2")) == (
        1,
        [
            "audit: jinja2 2.4.1 has GHSA-1: https://osv.dev/GHSA-1",
            "audit: jinja2 2.4.1 has PYSEC-2: https://osv.dev/PYSEC-2",
            "audit: 2 packages, 2 findings, 0 accepted in .ci/audit.toml",
        ],
    )


@pytest.mark.parametrize(("until", "code"), [("2026-11-28", 0), ("2026-11-27", 1)])
def test_what_is_accepted_passes_until_its_day(audit: ModuleType, until: str, code: int) -> None:
    accepted = audit.accepted_in(ACCEPTED.format(until=until))
    assert audit.audit(PACKAGES, accepted, TODAY, knows("GHSA-1"))[0] == code
    assert audit.audit(PACKAGES, accepted, TODAY, knows("GHSA-1", "GHSA-2"))[0] == 1


@pytest.mark.parametrize("error", [URLError("no network"), TimeoutError(), ValueError("no JSON"), KeyError("results")])
def test_without_the_database_that_is_said_and_nothing_fails(audit: ModuleType, error: Exception) -> None:
    def ask(packages: Sequence[object]) -> list[list[str]]:
        raise error

    code, [line] = audit.audit(PACKAGES, [], TODAY, ask)
    assert code == 0
    assert line.startswith(
        f"audit: NOT DONE, https://api.osv.dev/v1/querybatch gave no answer ({type(error).__name__})"
    )
    assert audit.audit(PACKAGES, [], TODAY, lambda packages: [])[1][0].startswith("audit: NOT DONE")


class Osv(BaseHTTPRequestHandler):
    """Answers in the form of osv.dev."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = {"vulns": [{"id": "GHSA-1", "modified": "2026-01-01T00:00:00Z"}]}
        jinja = {"package": {"name": "jinja2", "ecosystem": "PyPI"}, "version": "2.4.1"}
        body = json.dumps({"results": [known if query == jinja else {} for query in asked["queries"]]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


def test_the_question_and_the_answer(audit: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    with HTTPServer(("127.0.0.1", 0), Osv) as server:
        threading.Thread(target=server.handle_request).start()
        monkeypatch.setattr(audit, "_DATABASE", f"http://127.0.0.1:{server.server_port}/v1/querybatch")
        assert audit.ask_osv(PACKAGES) == [["GHSA-1"], []]


def test_an_entry_without_a_reason_is_refused(audit: ModuleType) -> None:
    with pytest.raises(TypeError, match="reason"):
        audit.accepted_in('[[accepted]]\nid = "a"\npackage = "b"\nuntil = 2027-01-01\n')
    assert audit.accepted_in((ROOT / ".ci" / "audit.toml").read_text("utf-8")) == []


def test_every_locked_package_is_read(audit: ModuleType) -> None:
    text = (ROOT / "requirements.lock").read_text("utf-8")
    found = audit.locked(text)
    assert len(found) == sum(line[:1] not in ("", " ", "#") for line in text.splitlines()) > 100
    assert audit.locked("a-b==1.2 ; python_version == '3.11' \\\n    --hash=sha256:x\nc==2.0 \\\n") == [
        ("a-b", "1.2"),
        ("c", "2.0"),
    ]
