"""A stored model is put in use only if its files are whole, it answers as it did, and its features are there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kernel.churn_predictor import ChurnPredictor
from kernel.errors import RegistryError
from kernel.golden import GOLDEN, keep_golden, load_golden
from kernel.predictions import Predictor, load_predictor, predictions
from tests.doubles.models import churn_predictor, features, saved, value_predictor

EXAMPLE = features().head(4)
KNOWN = {str(name): 1 for name in EXAMPLE.columns}


def stored(predictor: Predictor, folder: Path) -> Path:
    saved(predictor, folder)
    keep_golden(folder, EXAMPLE, predictions(load_predictor(folder), EXAMPLE))
    return folder


@pytest.mark.parametrize(("kind", "predictor"), [("churn", churn_predictor), ("value", value_predictor)])
def test_a_whole_model_passes(tmp_path: Path, kind: str, predictor: type[Predictor]) -> None:
    model = load_golden(stored(predictor(), tmp_path / "model"), kind)
    model.check(KNOWN)
    assert model.rows is not None
    expected = EXAMPLE.reset_index(drop=True)
    kept = model.rows.features(KNOWN)[list(expected.columns)]
    numbers = [name for name in expected if name != "income"]
    np.testing.assert_array_equal(kept[numbers].to_numpy(float), expected[numbers].to_numpy(float))
    assert kept["income"].tolist() == [word if isinstance(word, str) else None for word in expected["income"]]


def test_no_customer_is_kept(tmp_path: Path) -> None:
    text = (stored(churn_predictor(), tmp_path / "model") / GOLDEN).read_text(encoding="utf-8")
    assert not [name for name in EXAMPLE.index if name in text]


@pytest.mark.parametrize("name", ["booster.txt", "manifest.json"])
def test_one_changed_byte_is_noticed(tmp_path: Path, name: str) -> None:
    folder = stored(churn_predictor(), tmp_path / "model")
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(RegistryError, match=f"The model's file '{name}' is not the one that was stored"):
        load_golden(folder, "churn")


def test_other_answers_are_noticed(tmp_path: Path) -> None:
    folder = stored(churn_predictor(), tmp_path / "model")
    content = json.loads((folder / GOLDEN).read_text(encoding="utf-8"))
    content["answers"]["churn_probability"][2] *= 1 + 1e-6
    (folder / GOLDEN).write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(RegistryError, match="does not answer as it did"):
        load_golden(folder, "churn").check(KNOWN)


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({name: 1 for name in KNOWN if name != "spend_90d"}, "'spend_90d' in version 1, which is not there"),
        (KNOWN | {"spend_90d": 2}, "'spend_90d' in version 1, which is there in version 2"),
        ({name: 1 for name in KNOWN if name != "net_spend"}, "reads the feature 'net_spend', which is not stored"),
    ],
)
def test_features_of_another_meaning_are_noticed(tmp_path: Path, known: dict[str, int], said: str) -> None:
    model = load_golden(stored(value_predictor(), tmp_path / "model"), "value")
    with pytest.raises(RegistryError, match=said):
        model.check(known)


def test_reasons_that_do_not_add_up_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_golden(stored(churn_predictor(), tmp_path / "model"), "churn")
    exact = ChurnPredictor.contributions
    monkeypatch.setattr(ChurnPredictor, "contributions", lambda *given: exact(*given) + 1e-6)
    with pytest.raises(RegistryError, match="does not answer as it did"):
        model.check(KNOWN)


def test_a_model_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="It is a model of the kind 'value'"):
        load_golden(stored(value_predictor(), tmp_path / "model"), "churn")


def test_a_model_from_before_there_were_golden_rows(tmp_path: Path) -> None:
    folder = saved(churn_predictor(), tmp_path / "model")
    model = load_golden(folder, "churn")
    model.check(KNOWN)
    assert model.rows is None
    (folder / "booster.txt").write_text("", encoding="utf-8")
    with pytest.raises(RegistryError, match="cannot be read"):
        load_golden(folder, "churn")


def test_features_that_no_model_reads_may_be_missing(tmp_path: Path) -> None:
    model = load_golden(stored(churn_predictor(), tmp_path / "model"), "churn")
    model.check({"recency_days": 1, "spend_90d": 1, "income": 1})
    assert isinstance(model.rows and model.rows.features({"income"}), pd.DataFrame)
