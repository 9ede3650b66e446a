"""The part of ``requirements.lock`` that the service needs, with its hashes: ``python deploy/serving_requirements.py``.

What is needed is followed from pyproject.toml along the lock's own "via" notes. ``[tool.foresight] not-served`` names
what MLflow or training ask for and the service never imports (a test runs it without them).
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_BEGIN = re.compile(r"^(?=[A-Za-z0-9])", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_VIA = re.compile(r"^    #(?: via|  ) +([A-Za-z0-9._-]+)", re.MULTILINE)


def serving_requirements(lock: str, project: Mapping[str, Any]) -> dict[str, str]:
    """Package -> its lines in the lock.

    Args:
        lock: requirements.lock.
        project: pyproject.toml.
    """
    blocks = {_name(block): block for block in _BEGIN.split(lock)[1:]}
    asked = [*project["project"]["dependencies"], *project["project"]["optional-dependencies"]["otel"]]
    wanted = {_name(one) for one in (*asked, *project["build-system"]["requires"])}
    dropped = set(project["tool"]["foresight"]["not-served"])
    wanted -= dropped
    while True:
        more = {name for name, block in blocks.items() if wanted & set(_VIA.findall(block))} - wanted - dropped
        if not more:
            return {name: block for name, block in blocks.items() if name in wanted}
        wanted |= more


def _name(requirement: str) -> str:
    found = _NAME.match(requirement)
    assert found is not None, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


if __name__ == "__main__":
    with (ROOT / "pyproject.toml").open("rb") as file:
        content = tomllib.load(file)
    lines = serving_requirements((ROOT / "requirements.lock").read_text(encoding="utf-8"), content)
    sys.stdout.write("".join(lines.values()))
