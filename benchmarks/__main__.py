"""``python -m benchmarks [QUESTION ...]``: see QUESTIONS; all of them write ``benchmarks/results.md``."""

from __future__ import annotations

import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

# The libraries below read these when they are imported. Passive: waiting threads do not spin on a shared machine.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

QUESTIONS = ("features", "training", "scoring", "online", "http")
RESULTS, REMARKS = Path(__file__).with_name("results.md"), Path(__file__).with_name("remarks.md")


def main(chosen: list[str]) -> int:
    """Answer the chosen questions, or all; 2 where there is no such question."""
    console = Console()
    unknown = [name for name in chosen if name not in QUESTIONS]
    if unknown:
        console.print(f"There is no question '{unknown[0]}'. Known: {', '.join(QUESTIONS)}.")
        return 2
    from benchmarks import features, http, online, scoring, training
    from benchmarks.data import Bench
    from benchmarks.measure import Figure
    from benchmarks.report import machine, markdown, print_table

    modules = {"features": features, "training": training, "scoring": scoring, "online": online, "http": http}
    facts = machine(os.getloadavg()[0])
    found: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="foresight-bench-") as folder:
        bench = Bench(Path(folder))
        for name in chosen or QUESTIONS:
            with console.status(name):
                for figure in modules[name].figures(bench):
                    found.append(figure)
                    console.print(f"{figure.question}: {figure.what}, ratio {figure.ratio:.2f} to {figure.against}")
    print_table(found, console)
    when = datetime.now(UTC)
    console.print(f"{when:%Y-%m-%d}: {facts}")
    if not chosen:
        RESULTS.write_text(markdown(found, when, facts, REMARKS.read_text(encoding="utf-8")), encoding="utf-8")
        console.print(f"written: {RESULTS.relative_to(Path.cwd()) if RESULTS.is_relative_to(Path.cwd()) else RESULTS}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
