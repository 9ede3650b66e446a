"""The baselines of the service: a bare BentoML service of one model, and ``mlflow models serve`` of the same model."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import lightgbm as lgb

from benchmarks.bare_service import MODEL_VARIABLE
from foresight.service_process import free_port, service_environment


@contextmanager
def bare_service(model: Path, log: Path) -> Iterator[str]:
    """The address of ``benchmarks.bare_service``."""
    port = free_port()
    command = [sys.executable, "-m", "bentoml", "serve", "benchmarks.bare_service:Bare"]
    environment = service_environment(Path(), home=log.parent / "bare-bentoml") | {MODEL_VARIABLE: str(model)}
    with _serving([*command, "--host", "127.0.0.1", "--port", str(port)], environment, port, "/readyz", log) as address:
        yield address


@contextmanager
def mlflow_service(model: Path, folder: Path) -> Iterator[str]:
    """The address of ``mlflow models serve`` for the same trees, with one worker."""
    import mlflow.lightgbm

    place = folder / "mlflow-model"
    mlflow.lightgbm.save_model(lgb.Booster(model_file=str(model)), str(place), pip_requirements=["lightgbm"])
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(place), "--env-manager", "local"]
    options = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    # It starts uvicorn by its name.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "PATH": path}
    with _serving([*command, *options], environment, port, "/ping", folder / "mlflow.log") as address:
        yield address


@contextmanager
def _serving(command: Sequence[str], environment: Mapping[str, str], port: int, ready: str, log: Path) -> Iterator[str]:
    address = f"http://127.0.0.1:{port}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=dict(environment),
            stdout=output,
            stderr=output,
            cwd=Path(__file__).parents[1],
            start_new_session=True,
        )
        try:
            _wait(address + ready, process, log)
            yield address
        finally:
            os.killpg(process.pid, signal.SIGTERM)  # also what it started
            process.wait(timeout=30)


def _wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 90
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"The service did not start; {os.fspath(log)} says why.")
