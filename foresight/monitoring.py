"""Looks at the models in use: what they are used on, what they say, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

from foresight.project import Project
from kernel.alerts import Monitoring, latest_file, write_alerts
from kernel.artefacts import model_matrix
from kernel.churn_predictor import ChurnPredictor
from kernel.clock import parse_as_of
from kernel.model_registry import ModelVersion
from kernel.predictions import load_predictor
from kernel.settings import Settings
from kernel.value_predictor import ValuePredictor
from serving.scoring.ledger import ScoreLedger
from training.monitoring.drift import ScoreDrift, feature_drift, score_drift, scored_by
from training.monitoring.found import Cohort, Found, Watched
from training.monitoring.judge import judged
from training.monitoring.outcomes import figures, label_of, outcomes
from training.monitoring.page import render_monitoring
from training.monitoring.reference import Reference, model_rows, read_reference
from training.monitoring.ripeness import Kind, Ripeness, State, obstacle, ripeness

KINDS: tuple[Kind, ...] = ("churn", "value")
_MOST_MOMENTS = 26
_YEAR = timedelta(days=364)  # the same days of the week
_COLUMNS = ("customer_id", "status", "churn_probability", "churn_band", "lifetime_value", "churn_model", "value_model")
Say = Callable[[str], None]


@dataclass(frozen=True)
class _Known:
    """A version of a model, as far as it can be read; ``reference`` is None where it was kept without one."""

    predictor: ChurnPredictor | ValuePredictor | None
    reference: Reference | None


def monitor(
    project: Project, as_of: datetime, made_at: datetime, say: Say = lambda step: None
) -> tuple[Found, Monitoring]:
    """Compare what is known at ``as_of`` with what the champions were trained on, and ripe scores with what came.

    Raises:
        RegistryError: there is no champion, or it reads a feature that is no longer computed.
    """
    versions = _Versions(project)
    champions = {kind: project.registry.require(project.settings.model_name(kind)) for kind in KINDS}
    say("compare features")
    last_year = _last_year(project, as_of)
    models: dict[Kind, Watched] = {
        kind: _watched(project, versions, champions[kind], as_of, last_year) for kind in KINDS
    }
    say("compare scores with what came")
    scores: list[ScoreDrift] = []
    ledger: list[Ripeness] = []
    cohorts: list[Cohort] = []
    known = _known_until(project, as_of)
    for moment, kind, version, rows in _kept_scores(project, as_of):
        of = versions.named(version)
        scores.append(score_drift(kind, version, rows, moment, of.reference, project.settings.monitoring))
        window, given = label_of(kind, project.settings).window, int(scored_by(kind, rows).sum())
        why = obstacle(of.predictor, project.settings)
        ripe = ripeness(moment, kind, version, given, window, known, why)
        ledger.append(ripe)
        if ripe.state is State.RIPE:
            cohorts.append(_cohort(project, ripe, rows, of, known))
    settings = project.settings
    name, currency = settings.project.name, settings.project.currency
    found = Found(name, currency, as_of, known, last_year, models, scores, ledger, cohorts)
    return found, judged(found, settings.monitoring, made_at)


def write_monitoring(found: Found, result: Monitoring, settings: Settings, page: Path) -> Path:
    """Write the page, the alerts beside it as JSON, and keep the alerts in the state folder; the path of the JSON."""
    page.write_text(render_monitoring(found, result, settings), encoding="utf-8")
    beside = page.with_suffix(".json")
    for file in (beside, latest_file(settings)):
        write_alerts(result, file)
    return beside


class _Versions:
    """Models by version, each read once."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._read: dict[str, _Known] = {}

    def named(self, text: str) -> _Known:
        """By what the scores say, such as ``churn/3``; of one that is gone nothing is known."""
        if text not in self._read:
            name, _, number = text.rpartition("/")
            found = [one for one in self._project.registry.versions(name) if str(one.version) == number]
            self._read[text] = self._load(found[0]) if found else _Known(None, None)
        return self._read[text]

    def _load(self, version: ModelVersion) -> _Known:
        folder = self._project.registry.download(version)
        predictor = load_predictor(folder)
        assert isinstance(predictor, ChurnPredictor | ValuePredictor)
        return _Known(predictor, read_reference(folder) or self._recomputed(predictor))

    def _recomputed(self, predictor: ChurnPredictor | ValuePredictor) -> Reference | None:
        # A model of before references were kept: its customers can be told where the data of then are all there.
        of = predictor.manifest
        if self._project.profiles.fingerprint(of.as_of) != of.data_fingerprint:
            return None
        return self._project.trainer.reference(predictor)


def _watched(
    project: Project, versions: _Versions, champion: ModelVersion, as_of: datetime, last_year: datetime | None
) -> Watched:
    known, builder = versions.named(str(champion)), project.trainer.builder
    assert known.predictor is not None
    of = known.predictor.manifest
    rows = model_rows(known.predictor, builder.population(as_of))
    model_matrix(rows.iloc[:0], of.columns)  # a feature that is no longer computed is an error with a fix
    if known.reference is None:
        return Watched(str(champion), of.as_of, 0, len(rows), ())
    year = None if last_year is None else model_rows(known.predictor, builder.population(last_year))
    drifted = feature_drift(known.reference, of.columns, rows, project.settings.monitoring, year)
    return Watched(str(champion), of.as_of, known.reference.customers, len(rows), drifted)


def _last_year(project: Project, as_of: datetime) -> datetime | None:
    """A year before, if there is as much history then as training asks for."""
    first, _ = project.profiles.span(as_of)
    moment = as_of - _YEAR
    enough = first.replace(tzinfo=UTC) + timedelta(days=project.settings.training.history_days)
    return moment if moment >= enough else None


def _known_until(project: Project, as_of: datetime) -> datetime:
    """As far as the tables reach: after a feed has ended, nobody buys, and nobody has churned by that."""
    _, last = project.profiles.span(as_of)
    return min(as_of, parse_as_of(last.date() + timedelta(days=1)))


def _kept_scores(project: Project, as_of: datetime) -> Iterator[tuple[datetime, Kind, str, pd.DataFrame]]:
    """The last scored moments up to one, by kind and version of the model; index customer_id."""
    ledger = ScoreLedger.of(project.settings)
    for moment in [one for one in ledger.moments() if one <= as_of][-_MOST_MOMENTS:]:
        rows = ledger.read(moment, _COLUMNS).set_index("customer_id")
        for kind in KINDS:
            for version, part in rows.groupby(f"{kind}_model"):
                yield moment, kind, str(version), part


def _cohort(project: Project, ripe: Ripeness, rows: pd.DataFrame, of: _Known, known: datetime) -> Cohort:
    found = outcomes(project.profiles, project.settings, ripe.kind, rows, ripe.as_of, known)
    intervals = of.predictor.manifest.intervals if isinstance(of.predictor, ValuePredictor) else None
    promise = None if of.reference is None else of.reference.promise
    told = figures(ripe.kind, found, intervals)
    return Cohort(ripe, told, promise, found.treated, found.unknown)
