"""The command line. Exit codes: 0 fine, 1 failed, 2 wrong use."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from foresight.access_cli import keys, panel_token
from foresight.actions_cli import check_effect, plan_pilot
from foresight.features_cli import features
from foresight.live_cli import promote, rollback, shadow_report
from foresight.log_cli import log
from foresight.monitoring_cli import monitor
from foresight.openapi_cli import openapi
from foresight.operations_cli import doctor
from kernel.errors import ForesightError

if TYPE_CHECKING:
    from foresight.project import Project

# The libraries below read these when they are imported.
os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

app = typer.Typer(
    help="Churn, lifetime value and next best action from unified customer profiles.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
app.add_typer(features, name="features")
app.add_typer(log, name="log")
app.add_typer(keys, name="keys")
app.command("panel-token", epilog="Example: foresight panel-token 1746 --user rep-7")(panel_token)
app.command("plan-pilot", epilog="Example: foresight plan-pilot type_a -c examples/complete_journey")(plan_pilot)
app.command(
    "check-effect",
    epilog="Example: foresight check-effect campaign_received -c examples/complete_journey --detail 'Type A' "
    "--start 2017-08-08 --days 47",
)(check_effect)
app.command(epilog="Example: foresight monitor -c examples/complete_journey --out monitoring.html --fail-on alarm")(
    monitor
)
app.command(epilog="Example: foresight doctor -c examples/complete_journey")(doctor)
app.command(epilog="Example: foresight promote churn 3 -c examples/complete_journey")(promote)
app.command(epilog="Example: foresight rollback churn -c examples/complete_journey")(rollback)
app.command("shadow-report", epilog="Example: foresight shadow-report -c examples/complete_journey")(shadow_report)
app.command(
    epilog="Example: foresight openapi --version 2.0 --server https://scores.example.com --out foresight-2.0.json"
)(openapi)
out = Console()
problems = Console(stderr=True)

Config = Annotated[Path, typer.Option("--config", "-c", help="foresight.toml, or the folder that holds it.")]
AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of", help="Moment of knowledge, such as 2017-11-01; default: the day after the last transaction."
    ),
]

_TARGET = "File to write, .parquet or .csv, or postgresql://user@host/database?table=name."


class ReportFormat(StrEnum):
    """What ``foresight check`` prints."""

    TABLE = "table"
    JSON = "json"


def main() -> None:
    """Run a command; an error is three lines, never a traceback."""
    try:
        app()
    except ForesightError as error:
        problems.print(f"[bold red]error[/] {_plain(error.what)}", highlight=False, soft_wrap=True)
        problems.print(f"[dim]where[/] {_plain(error.where)}", highlight=False, soft_wrap=True)
        problems.print(f"[dim]fix  [/] {_plain(error.fix)}", highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        problems.print("stopped")
        sys.exit(1)


def _plain(text: str) -> str:
    return text.replace("[", "\\[")


@app.command(epilog="Example: foresight demo")
def demo(
    config: Config = Path("examples/complete_journey"),
    as_of: Annotated[str, typer.Option("--as-of", help="Moment of knowledge of the demo.")] = "2017-11-01",
) -> None:
    """Run the main job on real data: check, train, back-test, score, serve, show one customer."""
    from foresight.demo import run_demo

    run_demo(config, as_of, out)


@app.command(epilog="Example: foresight check -c examples/complete_journey --out check.html")
def check(
    config: Config = Path("foresight.toml"),
    as_of: AsOf = None,
    form: Annotated[ReportFormat, typer.Option("--format", help="What standard output holds.")] = ReportFormat.TABLE,
    to: Annotated[Path | None, typer.Option("--out", help="File to write besides: .html (one page) or .json.")] = None,
) -> None:
    """Read the tables and report what is wrong or thin in them, before anything is trained."""
    from foresight.check_page import as_json, check_target, write_check
    from foresight.console import findings_table, tables_line
    from kernel.clock import utc_now

    writes = None if to is None else check_target(to)
    project = _open(config)
    report = project.usability(as_of=as_of)
    if form is ReportFormat.JSON:
        # Whatever reads it wants the bytes, not colours and folded lines.
        sys.stdout.write(as_json(report))
    else:
        out.print(tables_line(report))
        out.print(findings_table(report.findings) if report.findings else "Nothing to report.")
    if writes is not None:
        write_check(report, writes, utc_now())
        (problems if form is ReportFormat.JSON else out).print(f"Report: {writes}", soft_wrap=True)
    if report.has_errors:
        raise typer.Exit(1)


@app.command(epilog="Example: foresight rhythm -c examples/complete_journey --as-of 2017-08-01")
def rhythm(config: Config = Path("foresight.toml"), as_of: AsOf = None) -> None:
    """Let the data choose [churn] horizon_days: after how long a silence do customers hardly come back?"""
    from foresight.console import rhythm_lines
    from training.labels.rhythm import purchase_rhythm

    project = _open(config)
    moment = project.default_as_of() if as_of is None else project.moment(as_of)
    for line in rhythm_lines(purchase_rhythm(project.profiles, moment), project.settings.churn.horizon_days):
        out.print(line)


class Trained(StrEnum):
    """What to train."""

    MODELS = "models"
    ACTIONS = "actions"


@app.command(epilog="Example: foresight train -c examples/complete_journey --as-of 2017-11-01")
def train(
    what: Annotated[
        Trained,
        typer.Argument(help="models: churn and value; actions: what actions change, from the log of decisions."),
    ] = Trained.MODELS,
    config: Config = Path("foresight.toml"),
    as_of: AsOf = None,
    tune: Annotated[
        float, typer.Option("--tune", min=0, help="Minutes to search for better trees of the churn model first.")
    ] = 0.0,
) -> None:
    """Back-test, fit and register the churn and lifetime-value models; promote those that are not worse.

    With 'actions': learn from logged decisions and their feedback what the catalogue's actions change.
    """
    from foresight.console import action_training_lines, backtest_tables, training_lines

    project = _open(config)
    if what is Trained.ACTIONS:
        with out.status("train actions") as status:
            learned = project.train_actions(known_until=as_of, say=lambda step: status.update(step))
        for line in action_training_lines(learned):
            out.print(line)
        return
    moment = project.default_as_of() if as_of is None else project.moment(as_of)
    with out.status("train") as status:
        outcome = project.train(as_of=moment, tune_minutes=tune, say=lambda step: status.update(step))
    if outcome.backtest is None:
        out.print("[yellow]The history is too short for a back-test: the models' quality is not known.[/]")
    else:
        out.print(backtest_tables(outcome.backtest, project.settings.project.currency))
    for line in training_lines(outcome):
        out.print(line)
    out.print(f"MLflow: {project.registry.database.uri}", soft_wrap=True)


@app.command(epilog="Example: foresight score -c examples/complete_journey --as-of 2017-11-01 --out scores.parquet")
def score(
    config: Config = Path("foresight.toml"),
    as_of: AsOf = None,
    to: Annotated[str, typer.Option("--out", help=_TARGET)] = "scores.parquet",
    reasons_for: Annotated[
        float,
        typer.Option("--reasons-for", min=0, max=100, help="Percent of customers at the highest risk who get reasons."),
    ] = 100.0,
    again: Annotated[
        bool, typer.Option("--again", help="Score anew even where the target has these scores already.")
    ] = False,
    only_changes: Annotated[
        bool,
        typer.Option(
            "--only-changes", help="Write the rows only that differ from what was written for an earlier day."
        ),
    ] = False,
) -> None:
    """Score every customer with the champions, one row each; after a kill, go on where it stopped."""
    from foresight.console import progress

    project = _open(config)
    moment = project.default_as_of() if as_of is None else project.moment(as_of)
    with progress(out) as shown:
        task = shown.add_task("score", total=project.profiles.count("customers"))
        written = project.write_scores(
            to,
            as_of=moment,
            reasons_for=reasons_for,
            again=again,
            only_changes=only_changes,
            advance=lambda rows: shown.advance(task, rows),
        )
    counts = ", ".join(f"{count:,} {name}" for name, count in written.by_status.items())
    already = "; already written, --again scores anew" if written.already else ""
    out.print(
        f"{written.customers:,} customers as of {moment:%Y-%m-%d} ({counts}): {written.target}{already}", soft_wrap=True
    )


@app.command(epilog="Example: foresight serve -c examples/complete_journey --port 3000")
def serve(
    config: Config = Path("foresight.toml"),
    host: Annotated[str | None, typer.Option(help="Default: \\[service] host, which is loopback.")] = None,
    port: Annotated[int | None, typer.Option(help="Default: \\[service] port.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Default: \\[service] workers, which is 1.")
    ] = None,
) -> None:
    """Serve scores, recommendations and insight cards over HTTP."""
    from foresight.service_process import service_command, service_environment
    from kernel.settings import load_settings
    from serving.http.safety import require_safe
    from serving.live import LiveModels

    settings = load_settings(config)
    require_safe(settings.service, os.environ, host or settings.service.host)
    # Opened once here, so that a missing model is an error before the server starts, not a service that waits for it.
    as_of = LiveModels(settings).first().source.as_of
    service = settings.service.model_copy(update={} if workers is None else {"workers": workers})
    bound, number = host or service.host, port or service.port
    out.print(f"http://{bound}:{number}  features as of {as_of:%Y-%m-%d}; stop with Ctrl-C")
    command = service_command(bound, number, stop_seconds=service.stop_seconds)
    home = settings.state_folder / "service" / str(number)
    os.execve(command[0], command, service_environment(settings.file, home=home, settings=service))


@app.command(epilog="Example: foresight report -c examples/complete_journey --date 2017-09-01 --date 2017-11-01")
def report(
    config: Config = Path("foresight.toml"),
    date: Annotated[
        list[str] | None,
        typer.Option("--date", help="Back-test as of this date; may be repeated. Default: the newest."),
    ] = None,
    to: Annotated[Path, typer.Option("--out", help="HTML file to write.")] = Path("report.html"),
) -> None:
    """Back-test at past dates and write a page with every model beside its baselines."""
    from foresight.console import backtest_tables, progress
    from foresight.reporting import default_dates, write_report

    project = _open(config)
    moments = [project.moment(text) for text in date] if date else default_dates(project)
    results = []
    with progress(out) as shown:
        task = shown.add_task("back-test", total=len(moments))
        for moment in moments:
            results.append(project.backtest(as_of=moment))
            shown.advance(task)
    for result in results:
        out.print(backtest_tables(result, project.settings.project.currency))
    write_report(project, results, to)
    out.print(f"Report: {to}", soft_wrap=True)


@app.command(epilog="Example: foresight value -c examples/complete_journey --where \"churn_band = 'high'\"")
def value(
    config: Config = Path("foresight.toml"),
    as_of: AsOf = None,
    where: Annotated[
        str | None, typer.Option(help="A SQL condition over scores, features and attributes; default: everybody.")
    ] = None,
) -> None:
    """Say what a segment is worth: its expected total spend, with the interval of the total."""
    from foresight.console import segment_lines

    project = _open(config)
    moment = project.moment(as_of) if as_of else project.default_as_of()
    with problems.status("score"):
        runtime = project.runtime(as_of=moment)
        found = runtime.total_value(where)
    for line in segment_lines(found, moment, runtime.horizon_days, runtime.currency):
        out.print(line)


@app.command("plan-campaign", epilog="Example: foresight plan-campaign -c examples/complete_journey --budget 500")
def plan_campaign(
    config: Config = Path("foresight.toml"),
    as_of: AsOf = None,
    budget: Annotated[
        float | None, typer.Option("--budget", help="Money for contacts and incentives; default: no limit.")
    ] = None,
    to: Annotated[str, typer.Option("--out", help=_TARGET)] = "campaign.csv",
    prices_until: Annotated[
        str | None,
        typer.Option("--prices-until", help="Let the service's decisions go by the limits' prices until this date."),
    ] = None,
) -> None:
    """Plan who gets which action under a budget and the catalogue's capacities, and what the limits are worth."""
    from foresight.console import campaign_lines, campaign_table
    from foresight.flat_files import write_frame
    from kernel.clock import later_moment
    from serving.batch_targets import target_of

    target_of(to)
    expires = None if prices_until is None else later_moment(prices_until, "--prices-until")
    project = _open(config)
    moment = project.moment(as_of) if as_of else project.default_as_of()
    with problems.status("score and allocate"):
        planned = project.plan_campaign(as_of=moment, budget=budget)
        written = write_frame(planned.plan, to)
    kept = None if expires is None else project.use_prices(planned, until=expires)
    currency = project.settings.project.currency
    out.print(campaign_table(planned, moment, currency))
    for line in campaign_lines(planned, currency):
        out.print(line, soft_wrap=True)
    if kept is not None:
        out.print(f"Decisions go by these prices until {kept.until:%Y-%m-%d %H:%M} UTC ({kept.version})")
    out.print(f"Plan: {written}", soft_wrap=True)


@app.command("evaluate-policy", epilog="Example: foresight evaluate-policy -c examples/complete_journey --out p.html")
def evaluate_policy(
    config: Config = Path("foresight.toml"),
    to: Annotated[Path, typer.Option("--out", help="HTML file to write.")] = Path("policy.html"),
    effects: Annotated[
        str | None,
        typer.Option(help="Model of effects, such as uplift/3, or 'prior' for the catalogue's; default: the newest."),
    ] = None,
    catalogue: Annotated[
        Path | None, typer.Option(help="Catalogue of the policy to judge; default: the project's.")
    ] = None,
    margin_rate: Annotated[
        float | None,
        typer.Option("--margin-rate", min=0, max=1, help="Judge by purchases, of which so much is profit."),
    ] = None,
    more_contacts: Annotated[
        float,
        typer.Option("--more-contacts", min=0, help="By how many contacts per decision it may exceed the old one."),
    ] = 0.25,
    known_until: Annotated[
        str | None, typer.Option("--known-until", help="Moment of knowledge; default: all that is known now.")
    ] = None,
) -> None:
    """Judge on logged decisions whether a policy may take over; the exit code is 0 whatever the verdict."""
    from foresight.check_page import check_target
    from foresight.policy_console import policy_lines
    from foresight.policy_evaluation import write_policy_report

    writes = check_target(to, (".html",))
    project = _open(config)
    with problems.status("evaluate") as status:
        page = project.evaluate_policy(
            known_until=known_until,
            effects=effects,
            catalogue=catalogue,
            margin_rate=margin_rate,
            more_contacts=more_contacts,
            say=lambda step: status.update(step),
        )
        write_policy_report(page, writes)
    for line in policy_lines(page):
        out.print(line, soft_wrap=isinstance(line, str))
    out.print(f"Report: {writes}", soft_wrap=True)


@app.command(epilog="Example: foresight judge customers.csv --label Churn --customer customerID")
def judge(
    table: Annotated[Path, typer.Argument(help="A flat table: .csv or .parquet, one row per customer.")],
    label: Annotated[str, typer.Option(help="The column that says what came.")],
    positive: Annotated[
        str | None, typer.Option(help="Its value that counts as the outcome; 1, true and yes need no word.")
    ] = None,
    customer: Annotated[str | None, typer.Option(help="The column of the customer; default: a row is one.")] = None,
    keep: Annotated[
        list[str] | None, typer.Option(help="A column to use although it gives the outcome away; may be repeated.")
    ] = None,
) -> None:
    """Say how well an outcome can be told from the other columns of a table, by folds of customers."""
    from foresight.console import judgement_table
    from foresight.flat_files import read_flat
    from training.flat_table import judge_table

    rows = read_flat(table)
    with problems.status("judge"):
        found = judge_table(rows, label, positive=positive, customer=customer, keep=tuple(keep or ()))
    out.print(judgement_table(found, label))


@app.command(epilog="Example: foresight relocate -c examples/complete_journey")
def relocate(config: Config = Path("foresight.toml")) -> None:
    """Repair the MLflow registry after its folder was moved or copied."""
    from kernel.model_registry import ModelRegistry
    from kernel.settings import load_settings

    places = ModelRegistry.of(load_settings(config)).relocate()
    out.print(f"{places} places rewritten.")


def _open(config: Path) -> Project:
    from foresight.project import Project

    # On a terminal only; never in what another program reads.
    with problems.status("read tables"):
        return Project.open(config)
