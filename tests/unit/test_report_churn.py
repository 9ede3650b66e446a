"""What the report says of the churn model beside its figures."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from kernel.artefacts import Unseen
from kernel.settings import Settings
from tests.projects import TABLES, TinyProject
from tests.reports import SECTIONS, page, result
from training.evaluation.statements import (
    churn_sentences,
    thin_evidence,
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return TinyProject(tmp_path).settings(TABLES + SECTIONS)


def test_what_drives_each_band_is_a_table(settings: Settings) -> None:
    text = page(settings, result())
    table = text[text.index("What drives the risk in each band") :]
    assert "High band" in table
    assert table.index("Recency, frequency and spend") < table.index("Contacts")
    assert "+0.80" in table


def test_a_feature_that_knows_the_outcome_is_thin_evidence(settings: Settings) -> None:
    notes = thin_evidence([dataclasses.replace(result(), suspects={"end_reason": 0.993})], settings)
    assert any("'end_reason' tells the outcome almost alone (AUC 0.993)" in note for note in notes)


def test_the_brier_score_is_taken_apart(settings: Settings) -> None:
    text = page(settings, result())
    parts = [float(part) for part in re.findall(r"made of (\S+) .*? less (\S+) .*? plus (\S+) by", text)[0]]
    uncertainty, resolution, reliability_ = parts
    assert uncertainty == pytest.approx(0.1 * 0.9)
    found = result()
    brier = float(np.mean((found.probability - found.churned) ** 2))
    # Up to what differs within a tenth of the customers.
    assert uncertainty - resolution + reliability_ == pytest.approx(brier, abs=0.002)


def test_customers_that_a_fit_had_not_seen(settings: Settings) -> None:
    unseen = Unseen(rows=900, customers=400, churners=70, auc=0.8125)
    text = page(settings, dataclasses.replace(result(), unseen=unseen))
    assert "AUC of 0.812 (900 rows of 400 customers, 70 of whom left at least once)" in text


def test_who_was_treated_is_said(settings: Settings) -> None:
    assert not any("retention action" in text for text in churn_sentences(result(), settings))
    sentences = churn_sentences(dataclasses.replace(result(), treated=12), settings)
    assert any(text.startswith("12 more customers are left out") for text in sentences)
