"""Batches that are killed at random moments, again and again, until one may end."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Batches:
    """Starts batches of projects that are made when they are first named: ``tests.doubles.batch``."""

    starter: subprocess.Popen[str]

    def run(self, project: Path, out: Path, hour: int = 0, killed_after: float | None = None) -> tuple[int, float]:
        """The exit code of a batch that begins in an hour of the first day, and the seconds that it took."""
        assert self.starter.stdin is not None and self.starter.stdout is not None
        self.starter.stdin.write(f"{hour} {project} {out}\n")
        self.starter.stdin.flush()
        process = int(self.starter.stdout.readline())
        begun = time.monotonic()
        if killed_after is not None:
            time.sleep(killed_after)
            with suppress(ProcessLookupError):  # it has ended
                os.kill(process, signal.SIGKILL)
        return int(self.starter.stdout.readline()), time.monotonic() - begun

    def killed(self, project: Path, out: Path, kills: int, longest: float, seed: int) -> int:
        """Kill a batch so many times within ``longest`` seconds each, every time an hour later, and let the last end.

        Returns:
            How many of them had not come to their end.
        """
        chance = random.Random(seed)
        codes = [self.run(project, out, hour, chance.uniform(0, longest))[0] for hour in range(kills)]
        assert self.run(project, out, kills)[0] == 0
        return sum(code != 0 for code in codes)


@contextmanager
def batches() -> Generator[Batches]:
    """The process that starts them, for as long as the block lasts."""
    command = [sys.executable, "-m", "tests.doubles.batch"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as starter:
        yield Batches(starter)
        assert starter.stdin is not None
        starter.stdin.close()
