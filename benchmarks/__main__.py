"""``python -m benchmarks [QUESTION ...]``: see QUESTIONS; each writes its section of ``benchmarks/results.md``.

``--customers``, ``--rows`` and ``--repetitions`` make "features" smaller or longer; then nothing is written.
"""

from __future__ import annotations

import argparse
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

QUESTIONS = ("features", "training", "scoring", "value", "allocation", "decisions", "online", "serving")
RESULTS, REMARKS = Path(__file__).with_name("results.md"), Path(__file__).with_name("remarks.md")


def main(arguments: list[str]) -> int:
    """Answer the chosen questions, or all; 2 where there is no such question."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help=", ".join(QUESTIONS))
    parser.add_argument("--customers", type=int, help="customers of the made-up tables")
    parser.add_argument("--rows", type=int, help="rows of their transactions")
    parser.add_argument("--repetitions", type=int, help="of each timing of features")
    options = parser.parse_args(arguments)
    chosen: list[str] = options.questions
    console = Console()
    unknown = [name for name in chosen if name not in QUESTIONS]
    if unknown:
        console.print(f"There is no question '{unknown[0]}'. Known: {', '.join(QUESTIONS)}.")
        return 2
    from benchmarks import allocation, decisions, features, online, scoring, serving, training, value
    from benchmarks.data import Bench
    from benchmarks.measure import Figure
    from benchmarks.report import machine, markdown, print_table
    from benchmarks.synthetic import Size

    modules = {
        "features": features,
        "training": training,
        "scoring": scoring,
        "value": value,
        "allocation": allocation,
        "decisions": decisions,
        "online": online,
        "serving": serving,
    }
    facts = machine(os.getloadavg()[0])
    found: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="foresight-bench-") as folder:
        given = {name: getattr(options, name) for name in ("customers", "rows", "repetitions")}
        given = {name: value for name, value in given.items() if value is not None}
        bench = Bench(Path(folder), Size(**given))
        for name in chosen or QUESTIONS:
            with console.status(name):
                for figure in modules[name].figures(bench):
                    found.append(figure)
                    console.print(f"{figure.question}: {figure.what}, ratio {figure.ratio:.2f} to {figure.against}")
    print_table(found, console)
    when = datetime.now(UTC)
    console.print(f"{when:%Y-%m-%d}: {facts}")
    if not given:
        remarks, before = REMARKS.read_text(encoding="utf-8"), RESULTS.read_text(encoding="utf-8")
        text = markdown(found, when, facts, remarks, questions=QUESTIONS, before=before)
        RESULTS.write_text(text, encoding="utf-8")
        console.print(f"written: {RESULTS.relative_to(Path.cwd()) if RESULTS.is_relative_to(Path.cwd()) else RESULTS}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
