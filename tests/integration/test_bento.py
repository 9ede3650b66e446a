"""``make bento``: the service as a bento, with the packages that serving needs and no other."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


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
