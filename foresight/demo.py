"""The main job on real data, from tables to an insight card, as one command."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.panel import Panel

from foresight.console import backtest_tables, findings_table
from foresight.project import Project
from foresight.reporting import write_report
from foresight.service_process import running_service
from kernel.types import Band, Status

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def run_demo(config: Path, as_of: str, out: Console) -> None:
    """Check, train, back-test, score, serve, and show one customer; everything is kept in the project's folders.

    Raises:
        ForesightError: a step failed.
    """
    started = time.monotonic()
    with out.status("read tables") as status:
        project = Project.open(config)
        currency = project.settings.project.currency
        folder = project.settings.state_folder
        folder.mkdir(parents=True, exist_ok=True)
        counts = {name: project.profiles.count(name) for name in ("customers", "transactions", "activities")}
        _step(out, started, "read " + ", ".join(f"{count:,} {name}" for name, count in counts.items()))
        if project.findings:
            out.print(findings_table(project.findings))
        outcome = project.train(as_of=as_of, say=lambda step: status.update(step))
        _step(out, started, f"trained as of {as_of}: {outcome.churn.version}, {outcome.value.version}")
        status.update("back-test against what came after")
        result = project.backtest(as_of=as_of)
        write_report(project, [*([outcome.backtest] if outcome.backtest else []), result], folder / "report.html")
        _step(out, started, f"back-tested against the {project.trainer.window.days} days after {as_of}")
        status.update("score every customer")
        project.write_scores(folder / "scores.parquet", as_of=as_of)
        scores = pd.read_parquet(folder / "scores.parquet")
        _step(out, started, f"scored {len(scores):,} customers")
        status.update("serve one customer over HTTP")
        customer = _interesting(scores)
        card = folder / "panel.html"
        with running_service(project.settings.file, folder / "service.log") as address:
            answer = _post(f"{address}/v1/score", {"customer_id": customer})
            advice = _post(f"{address}/v1/recommendations", {"customer_id": customer})
            card.write_bytes(_get(f"{address}/panel/{customer}"))
            picture = _screenshot(f"{address}/panel/{customer}", folder / "panel.png")
        _step(out, started, "served one customer over HTTP")
    out.print(backtest_tables(result, currency))
    out.print(Panel(_customer(answer["scores"][0], advice["recommendations"][0]), title=f"Customer {customer}"))
    mlflow = f"{project.registry.database.uri}"
    out.print(f"MLflow      .venv/bin/mlflow ui --backend-store-uri {mlflow}", soft_wrap=True)
    out.print(f"Scores      {folder / 'scores.parquet'}", soft_wrap=True)
    out.print(f"Report      {folder / 'report.html'}", soft_wrap=True)
    out.print(f"Insight     {card}" + (f"\nPicture     {picture}" if picture else ""), soft_wrap=True)
    out.print("Next        make serve   (then open http://127.0.0.1:3000/panel/" + customer + ")", soft_wrap=True)


def _step(out: Console, started: float, text: str) -> None:
    out.print(f"[green]✓[/] [dim]{time.monotonic() - started:5.0f} s[/]  {text}", highlight=False)


def _interesting(scores: Any) -> str:
    # Someone a person would call: at high risk, and of the highest value among those.
    scored = scores[(scores["status"] == Status.SCORED) & (scores["churn_band"] == Band.HIGH)]
    pool = scored if len(scored) else scores
    return str(pool.sort_values("lifetime_value", ascending=False)["customer_id"].iloc[0])


def _customer(score: dict[str, Any], advice: dict[str, Any]) -> str:
    reasons = "\n".join(
        f"  {'↑' if reason['effect'] > 0 else '↓'} {reason['text']}" for reason in score["churn_reasons"]
    )
    actions = "\n".join(
        f"  {item['rank']}. {item['label']}: expected gain {score['currency']} {item['expected_value']:.2f} "
        f"({item['expected_value_low']:.2f} to {item['expected_value_high']:.2f}), chosen with probability "
        f"{item['probability']:.2f}"
        for item in advice["recommended_actions"]
    )
    return (
        f"Churn within {score['churn_horizon_days']} days from {score['as_of'][:10]}: "
        f"{score['churn_probability']:.0%} ({score['churn_probability_low']:.0%} to "
        f"{score['churn_probability_high']:.0%}), band {score['churn_band']}\n"
        f"{reasons}\n"
        f"Expected net spend in {score['value_horizon_days']} days: {score['currency']} {score['lifetime_value']:,.0f} "
        f"({score['lifetime_value_low']:,.0f} to {score['lifetime_value_high']:,.0f})\n"
        f"Next best action\n{actions}"
    )


def _post(address: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        address, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def _get(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=60) as answer:
        return answer.read()


def _screenshot(address: str, path: Path) -> Path | None:
    """A picture of the card where a browser is installed; None where there is none."""
    browser = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        return None
    with tempfile.TemporaryDirectory() as profile:
        quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
        size = [f"--screenshot={path}", "--window-size=480,1100", "--hide-scrollbars", f"--user-data-dir={profile}"]
        subprocess.run([browser, *quiet, *size, address], capture_output=True, timeout=60, check=False)
    return path if path.exists() else None
