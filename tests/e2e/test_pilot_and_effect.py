"""The commands that ask whether an action works, over a real project."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from foresight.cli import main
from foresight.pilot_plan import PilotQuestion
from foresight.project import Project
from tests.e2e.conftest import AS_OF, Trained

Run = Callable[..., tuple[int, str, str]]

RECEIVED = ("check-effect", "campaign_received")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], trained: Trained) -> Run:
    def running(*arguments: object) -> tuple[int, str, str]:
        given = ["foresight", *map(str, arguments), "-c", str(trained.config)]
        monkeypatch.setattr(sys, "argv", given)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        written = capsys.readouterr()
        return int(ended.value.code or 0), written.out, written.err

    return running


def test_a_pilot_of_an_action(run: Run, trained: Trained) -> None:
    code, out, err = run("plan-pilot", "type_a", "--as-of", AS_OF, "--rate", 0.124, "--effect", 0.2)
    assert (code, err) == (0, "")
    assert "Pilot of type_a:" in out
    assert "It takes 50 days: 1 until the last customer has entered, and 49 until the outcome is known" in out
    # 0.50 and .124 x 1.01 a contact; 34.60 less 1.01 a conversion.
    assert "type_a pays from an effect of +1.86 percentage points on" in out
    plan = trained.project.plan_pilot("type_a", PilotQuestion(rate=0.124), as_of=AS_OF)
    assert plan.question.effect == 0.0414
    # The free campaign gives an action to no more customers than may have it.
    assert plan.available == sum(
        "type_a" in {one.action_id for one in insight.decision.candidates if one.eligible}
        for insight in trained.project.runtime(as_of=AS_OF).by_ids(list(trained.batch.index))
        if insight.decision is not None
    )
    assert plan.days is None
    assert plan.smallest is not None


def test_an_unknown_rate_is_taken_for_the_one_that_needs_most(trained: Trained) -> None:
    plans = {
        rate: trained.project.plan_pilot("type_a", PilotQuestion(rate=rate, per_day=50), as_of=AS_OF)
        for rate in (None, 0.2, 0.45, 0.5, 0.8)
    }
    assert plans[None].arms.total == max(plan.arms.total for plan in plans.values())
    assert any("is not known: a rate near a half was taken" in line for line in plans[None].sources)


@pytest.mark.parametrize(
    ("kind", "prior"), [("binary", "rate = 0.05, strength = 9"), ("value", "mean = 9, deviation = 9")]
)
def test_what_purchases_measure_is_measured(trained: Trained, tmp_path: Path, kind: str, prior: str) -> None:
    text = trained.config.read_text(encoding="utf-8")
    for name in ("registry", "state"):
        text = text.replace(f'folder = "{name}"', f'folder = "{trained.folder / name}"')
    (tmp_path / "foresight.toml").write_text(text, encoding="utf-8")
    (tmp_path / "actions.toml").write_text(
        f'[[action]]\nid = "mail"\nlabel = "Mail"\ngroup = "mails"\nchannels = ["mail"]\n'
        f'outcome = {{ name = "buy", window_days = 28, kind = "{kind}", measured_by = "purchases" }}\n'
        f"cost = {{ contact = 1 }}\nvalue = {{ margin = 1 }}\nprior = {{ {prior} }}\n",
        encoding="utf-8",
    )
    project = Project.open(tmp_path)
    plan = project.plan_pilot("mail", PilotQuestion(per_day=9), as_of=AS_OF)
    bought = project.profiles.connection.cursor().execute(
        "SELECT avg(CAST(spend > 0 AS INTEGER)), stddev_samp(spend) FROM (SELECT customer_id, coalesce(sum(amount) "
        "FILTER (event_time >= '2017-10-04' AND event_time < '2017-11-01'), 0) AS spend FROM transactions "
        "GROUP BY ALL HAVING min(event_time) < '2017-10-04')"
    )
    [(share, spread)] = bought.fetchall()
    if kind == "binary":
        assert plan.question.rate == pytest.approx(share, abs=0.002)
        assert 0.5 < share < 1
    else:
        assert plan.question.spread == pytest.approx(spread)
        assert plan.unit == "USD"


@pytest.mark.parametrize(
    ("arguments", "what", "fix"),
    [
        (("plan-pilot", "type_x"), "The catalogue has no action 'type_x'.", "Did you mean"),
        (("plan-pilot", "type_a", "--spread", 3), "The outcome of type_a is a probability.", "Give --rate instead."),
        (("plan-pilot", "type_a", "--per-day", -1), "are too few", "Give numbers above 0."),
        (
            (*RECEIVED, "--start", "2017-08-09", "--days", 47),
            "happened to no customer",
            "it happened on 2017-08-08 and",
        ),
        ((*RECEIVED, "--start", "2017-08-08", "--days", 0), "The window has 0 days", "Give 1 day or more"),
        ((*RECEIVED, "--start", "2017-12-20", "--days", 30), "is certain on 2018-01-19", "an earlier cut-off"),
        ((*RECEIVED, "--start", "2017-02-01", "--days", 60), "The placebo looks at the 60 days", "a later start"),
        ((*RECEIVED, "--detail", "Type X", "--start", "2017-08-08", "--days", 9), "has the detail 'Type X'", "Did you"),
        (
            ("check-effect", "campain_received", "--start", "2017-08-08", "--days", 9),
            "No activity is a",
            "Did you mean",
        ),
        ((*RECEIVED, "--detail", "Type C", "--start", "2017-04-19", "--days", 9), "customers are on one side", "100"),
    ],
)
def test_wrong_input(run: Run, arguments: tuple[object, ...], what: str, fix: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (1 if "certain" in what or "placebo" in what or "side" in what else 2, "")
    assert what in err
    assert fix in err


def test_an_effect_on_the_slice(run: Run) -> None:
    code, out, err = run(*RECEIVED, "--detail", "Type A", "--start", "2017-08-08", "--days", 47)
    assert (code, err) == (0, "")
    assert "campaign_received (Type A) from 2017-08-08 (UTC): " in out
    assert "No effect may be claimed: nobody drew who is treated" in out
    assert "foresight plan-pilot" in out
