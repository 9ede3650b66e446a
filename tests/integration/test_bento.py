"""``make bento``: the service as a bento, with the packages that serving needs and no other."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from foresight.service_process import SERVICE

ROOT = Path(__file__).parents[2]


def test_it_has_our_packages_and_the_list_that_make_bento_writes() -> None:
    told = yaml.safe_load((ROOT / "deploy" / "bentofile.yaml").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["setuptools"]["packages"]["find"]["include"]
    assert told["service"] == SERVICE
    assert sorted(told["include"]) == sorted(one.replace("*", "/**") for one in packages)
    listed = f"deploy/serving_requirements.py > {told['python']['requirements_txt']}\n"
    assert listed in (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.soak
def test_a_bento_is_built(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("foresight", "features", "serving", "kernel", "training", "deploy"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    listed = subprocess.run(
        [sys.executable, str(ROOT / "deploy" / "serving_requirements.py")], capture_output=True, check=True
    ).stdout
    (source / "build").mkdir()
    (source / "build" / "serving.lock").write_bytes(listed)
    home = tmp_path / "home"
    environment = {**os.environ, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True", "PYTHONPATH": str(source)}
    command = [sys.executable, "-W", "ignore", "-m", "bentoml", "build", ".", "-f", "deploy/bentofile.yaml"]
    ended = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    [bento] = [one for one in (home / "bentos" / "foresight").iterdir() if one.is_dir()]
    packages = (bento / "env" / "python" / "requirements.txt").read_text(encoding="utf-8")
    assert "lightgbm==" in packages and "matplotlib==" not in packages
    assert (bento / "src" / "serving" / "panel").is_dir()
