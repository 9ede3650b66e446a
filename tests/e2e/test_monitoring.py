"""Monitoring over a real project: scores of two past moments are ripe, and compared with the labels of training."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from foresight.cli import main
from foresight.monitoring import monitor
from foresight.project import Project
from kernel.alerts import Level, Monitoring, latest_file, read_alerts
from kernel.clock import parse_as_of, utc_now
from serving.scoring.ledger import ScoreLedger
from tests.e2e.conftest import AS_OF, Trained
from training.evaluation.discrimination import auc_interval
from training.monitoring.figures import ChurnFigures
from training.monitoring.found import Found
from training.monitoring.ripeness import State

EARLIER = "2017-10-01"
BOTH = [parse_as_of(EARLIER), parse_as_of(AS_OF)]


@pytest.fixture(scope="module")
def scored(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The trained models, and a state of its own with scores of two moments."""
    folder = tmp_path_factory.mktemp("watched")
    text = trained.config.read_text(encoding="utf-8").replace(str(trained.folder / "state"), str(folder / "state"))
    (folder / "foresight.toml").write_text(text, encoding="utf-8")
    shutil.copy(trained.folder / "actions.toml", folder)
    project = Project.open(folder)
    ledger, kept = ScoreLedger.of(project.settings), ScoreLedger.of(trained.project.settings)
    ledger.folder.mkdir(parents=True)
    (newest,) = (file for file in kept.folder.glob("20171101*"))
    shutil.copy(newest, ledger.folder)
    project.write_scores(folder / "scores.parquet", as_of=EARLIER, reasons_for=0)
    return project


@pytest.fixture(scope="module")
def looked(scored: Project) -> tuple[Found, Monitoring]:
    return monitor(scored, scored.default_as_of(), utc_now())


def test_both_moments_are_ripe_and_judged_by_the_labels_of_training(
    scored: Project, looked: tuple[Found, Monitoring]
) -> None:
    found, _ = looked
    told = [one for one in found.cohorts if one.ripe.kind == "churn"]
    assert [one.ripe.as_of for one in told] == BOTH
    assert {one.state for one in found.ledger} == {State.RIPE}
    for moment, one in zip(BOTH, told, strict=True):
        rows = scored.training_set([moment], known_at=found.known).churn_cohort
        scores = ScoreLedger.of(scored.settings).read(moment).set_index("customer_id")
        probability = scores.loc[rows.customers, "churn_probability"].to_numpy(float)
        assert set(rows.customers) == set(scores.index[scores["status"] == "scored"])
        assert isinstance(one.figures, ChurnFigures)
        assert one.figures.churned == rows.churned.sum()
        assert one.figures.observed.estimate == pytest.approx(rows.churned.sum() / probability.sum())
        auc = auc_interval(probability, rows.churned)
        assert auc is not None
        assert one.figures.auc is not None
        assert one.figures.auc.estimate == pytest.approx(auc.estimate, abs=1e-12)


def test_the_promise_is_what_the_back_test_was_registered_with(
    scored: Project, looked: tuple[Found, Monitoring]
) -> None:
    logged = scored.registry.metrics(scored.registry.require("churn"))
    (promised,) = {one.promised for one in looked[0].cohorts if one.ripe.kind == "churn"}
    assert isinstance(promised, ChurnFigures)
    assert promised.auc is not None
    assert promised.auc.estimate == pytest.approx(logged["auc"], abs=1e-9)
    assert promised.calibration_error == pytest.approx(logged["ece"], abs=1e-9)
    value = next(one for one in looked[0].cohorts if one.ripe.kind == "value")
    assert value.drop is not None


def test_scores_of_the_moment_of_training_are_those_of_the_training(looked: tuple[Found, Monitoring]) -> None:
    of_training = [one for one in looked[0].scores if one.as_of == BOTH[1]]
    assert [one.kind for one in of_training] == ["churn", "value"]
    for one in of_training:
        assert one.psi is not None
        assert one.shift is not None
        assert one.psi.value == pytest.approx(0, abs=1e-9)
        assert one.shift.estimate == pytest.approx(0, abs=1e-9)


def test_at_the_moment_of_training_no_feature_has_moved(scored: Project) -> None:
    found, result = monitor(scored, BOTH[1], utc_now())
    assert max(one.psi.value for model in found.models.values() for one in model.features) == 0
    assert {one.level for one in result.alerts} == {Level.OK}
    # Both scores are known then, and their outcomes are not yet: 56 days are not over.
    assert [(one.as_of, one.state) for one in found.ledger] == [(one, State.WAITING) for one in BOTH for _ in range(2)]
    assert found.cohorts == []


def test_the_command_writes_page_and_alerts_and_fails_only_when_asked(
    scored: Project,
    looked: tuple[Found, Monitoring],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = tmp_path / "monitoring.html"
    arguments = ("monitor", "-c", str(scored.settings.file), "--out", str(page), "--fail-on", "watch")
    monkeypatch.setattr(sys, "argv", ["foresight", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    _, result = looked
    assert int(ended.value.code or 0) == int(result.level is not Level.OK)
    beside, kept = read_alerts(tmp_path / "monitoring.json"), read_alerts(latest_file(scored.settings))
    assert beside is not None
    assert kept == beside
    assert beside.alerts == result.alerts
    assert f"complete_journey as of 2018-01-02: {result.level}" in capsys.readouterr().out
    html = page.read_text(encoding="utf-8")
    ids = ScoreLedger.of(scored.settings).read(BOTH[0], ["customer_id"])["customer_id"]
    four_digits = set(re.findall(r"(?<![\d.,-])\d{4}(?![\d.,-])", re.sub(r"<svg.*?</svg>", "", html, flags=re.S)))
    assert {one for one in ids if len(one) == 4 and one not in ("2017", "2018")} & four_digits == set()
    assert np.isfinite(list(json.loads((tmp_path / "monitoring.json").read_text())["psi_max"].values())).all()
