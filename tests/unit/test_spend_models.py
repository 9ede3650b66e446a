"""The spend models: what each expects, and that it comes back from its files as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pytest

from kernel.artefacts import (
    model_matrix,
)
from kernel.errors import RegistryError
from kernel.value_predictor import (
    ValuePredictor,
    needed_boosters,
)
from tests.doubles.models import COLUMNS, PARAMETERS, features, saved, value_predictor
from tests.value_by_hand import (
    CONTRACTS,
    LEARNT,
    NEWCOMERS,
    RISING,
    SCALE,
    bits,
    histories,
    known,
    matrix,
    order_value,
    pace,
    purchases,
)


def two_part() -> ValuePredictor:
    """A predictor of two boosters."""
    frame = known()
    inputs = model_matrix(frame, COLUMNS)
    buys = (frame["recency_days"] > 50).to_numpy(dtype="float64")
    buy = lgb.train(PARAMETERS, lgb.Dataset(inputs, buys), num_boost_round=5)
    spend = lgb.train({**PARAMETERS, "objective": "tweedie"}, lgb.Dataset(inputs, pace(frame)), num_boost_round=5)
    manifest = value_predictor(spend_model="two_part").manifest
    return ValuePredictor(manifest, {"buy": buy, "spend": spend})


def test_two_parts_are_the_chance_to_buy_times_what_is_spent_then() -> None:
    frame, model = known(), two_part()
    chance = model.boosters["buy"].predict(matrix(frame))
    change = np.exp(model.boosters["spend"].predict(matrix(frame), raw_score=True))
    assert 0 < chance.min() < chance.max() < 1
    assert model.expected_spend(frame) == pytest.approx(SCALE * chance * pace(frame) * change, rel=1e-9)


def test_btyd_is_purchases_times_order_value_times_scale() -> None:
    frame = known()
    expected = SCALE * purchases(LEARNT, *histories(frame)) * order_value(frame)
    assert only_btyd().expected_spend(frame) == pytest.approx(expected, rel=1e-7)


def only_btyd() -> ValuePredictor:
    """A predictor without boosters."""
    return ValuePredictor(value_predictor(spend_model="btyd").manifest, {})


MODELS = {"trees": value_predictor, "two_part": two_part, "btyd": only_btyd}


class TestStored:
    @pytest.mark.parametrize("spend_model", ["trees", "two_part", "btyd"])
    def test_a_model_comes_back_as_it_was(self, spend_model: str, tmp_path: Path) -> None:
        model = MODELS[spend_model]()
        folder = saved(model, tmp_path / "model")
        files = [f"{name}.txt" for name in needed_boosters(spend_model)]
        assert sorted(file.name for file in folder.iterdir()) == sorted(["manifest.json", *files])
        back = ValuePredictor.load(folder)
        assert back.manifest == model.manifest
        assert bits(back.numbers(features())) == bits(model.numbers(features()))

    def test_all_that_is_optional_comes_back_too(self, tmp_path: Path) -> None:
        model = value_predictor(contracts=CONTRACTS, newcomers=NEWCOMERS, margin=0.25, order_values=RISING)
        back = ValuePredictor.load(saved(model, tmp_path / "model")).manifest
        assert back == model.manifest
        assert (back.contracts, back.newcomers, back.margin, back.order_values) == (CONTRACTS, NEWCOMERS, 0.25, RISING)

    @pytest.mark.parametrize(
        ("spend_model", "missing"), [("trees", "trees"), ("two_part", "buy"), ("two_part", "spend")]
    )
    def test_a_missing_booster_is_named(self, spend_model: str, missing: str, tmp_path: Path) -> None:
        folder = saved(MODELS[spend_model](), tmp_path / "model")
        (folder / f"{missing}.txt").unlink()
        with pytest.raises(RegistryError) as raised:
            ValuePredictor.load(folder)
        assert raised.value.what == f"The model's file '{missing}.txt' is missing."
        assert (raised.value.where, raised.value.fix) == (str(folder), "Train the model again.")

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda stored: stored.update(format=2),
            lambda stored: stored.update(kind="churn"),
            lambda stored: stored.update(spend_model="forest"),
            lambda stored: stored.pop("sums"),
            lambda stored: stored.update(unheard_of=1),
            # As models were stored before they had a family of purchases and horizons.
            lambda stored: stored.update(
                bg_nbd=stored.pop("purchases")["parameters"],
                gamma_gamma={name: stored.pop("order_values", {}).get(name, 1.0) for name in ("p", "q", "v")},
            ),
        ],
    )
    def test_a_manifest_of_another_version_is_refused(
        self, spoil: Callable[[dict[str, object]], object], tmp_path: Path
    ) -> None:
        folder = saved(value_predictor(), tmp_path / "model")
        file = folder / "manifest.json"
        stored = json.loads(file.read_text(encoding="utf-8"))
        spoil(stored)
        file.write_text(json.dumps(stored), encoding="utf-8")
        with pytest.raises(RegistryError) as raised:
            ValuePredictor.load(folder)
        assert raised.value.what == "The model's manifest cannot be read as ValueManifest (ValidationError)."
        assert (raised.value.where, raised.value.fix) == (str(file), "Train again with this version.")

    def test_a_folder_without_a_model_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(RegistryError, match=r"cannot be read as ValueManifest \(FileNotFoundError\)"):
            ValuePredictor.load(tmp_path)

    def test_a_feature_that_the_model_needs_and_the_project_lacks_is_named(self) -> None:
        with pytest.raises(RegistryError, match="needs the feature 'income', which this project does not have"):
            value_predictor().numbers(known().drop(columns="income"))
