"""Whether a locked package has a known vulnerability, by the database of osv.dev; exit code 1 when one has.

Where the database cannot be reached that is said, and nothing fails: a build without a network must go on.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("requirements.lock", "requirements-spark.lock", "requirements-oracle.lock")
ACCEPTED = Path(__file__).with_name("audit.toml")
_DATABASE = "https://api.osv.dev/v1/querybatch"
_SECONDS = 10
_LOCKED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
Package = tuple[str, str]


@dataclass(frozen=True)
class Accepted:
    """A finding that does not fail the build until a day, and why."""

    id: str
    package: str
    reason: str
    until: date


def locked(text: str) -> list[Package]:
    """Names and versions in a compiled requirements file."""
    return _LOCKED.findall(text)


def accepted_in(text: str) -> list[Accepted]:
    """The entries of the allow-list; TypeError when one has a key too many or too few."""
    return [Accepted(**entry) for entry in tomllib.loads(text).get("accepted", [])]


def ask_osv(packages: Sequence[Package]) -> list[list[str]]:
    """For each package the ids of its known vulnerabilities. Raises OSError or ValueError without an answer."""
    queries = [{"package": {"name": name, "ecosystem": "PyPI"}, "version": version} for name, version in packages]
    body = json.dumps({"queries": queries}).encode()
    request = urllib.request.Request(_DATABASE, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
        results: list[Any] = json.load(answer)["results"]
    return [[one["id"] for one in result.get("vulns", ())] for result in results]


def audit(
    packages: Sequence[Package],
    accepted: Iterable[Accepted],
    today: date,
    ask: Callable[[Sequence[Package]], list[list[str]]] = ask_osv,
) -> tuple[int, list[str]]:
    """The exit code, and what to say."""
    try:
        found = ask(packages)
        if len(found) != len(packages):
            raise ValueError("not an answer for each package")
    except (OSError, ValueError, KeyError) as error:
        return 0, [f"audit: NOT DONE, {_DATABASE} gave no answer ({type(error).__name__}); nothing is known of today."]
    valid = {(entry.package, entry.id) for entry in accepted if entry.until > today}
    known = [(name, version, id) for (name, version), ids in zip(packages, found, strict=True) for id in ids]
    open_ones = [finding for finding in known if (finding[0], finding[2]) not in valid]
    lines = [f"audit: {name} {version} has {id}: https://osv.dev/{id}" for name, version, id in open_ones]
    counted = f"audit: {len(packages)} packages, {len(open_ones)} findings, {len(known) - len(open_ones)} accepted"
    return (1 if open_ones else 0), [*lines, f"{counted} in .ci/audit.toml"]


def main() -> int:
    """Look at all locked packages."""
    packages = sorted({one for name in LOCKS for one in locked((ROOT / name).read_text(encoding="utf-8"))})
    accepted = accepted_in(ACCEPTED.read_text(encoding="utf-8"))
    code, lines = audit(packages, accepted, datetime.now(UTC).date())
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return code


if __name__ == "__main__":
    sys.exit(main())
