"""The stored model of purchases: asked all at once as if asked one by one, and stored without loss."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pydantic import ValidationError

from kernel.btyd import BgNbd, MbgNbd
from kernel.errors import DataError, RegistryError, UsageError
from kernel.pareto_nbd import ParetoNbd
from kernel.purchases import FAMILIES, PurchaseModel, PurchaseParameters, outlook

MODELS: dict[str, PurchaseModel] = {
    "bg_nbd": BgNbd(0.2426, 4.4137, 0.793, 2.4262, 7.0),
    "mbg_nbd": MbgNbd(0.525, 6.183, 0.891, 1.614, 7.0),
    "pareto_nbd": ParetoNbd(0.5532, 10.578, 0.606, 11.669, 7.0),
}
HORIZONS = (0.0, 7.0, 56.0, 365.0)


@pytest.fixture(params=sorted(MODELS))
def model(request: pytest.FixtureRequest) -> PurchaseModel:
    return MODELS[request.param]


def repeated_grid(times: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Histories of every kind, each several times, in no order."""
    rows = [
        (x, recency, T)
        for x in (0, 1, 2, 9, 300)
        for T in (0, 6.5, 70, 700)
        for recency in ({0, T / 2, T} if x else {0})
    ]
    frequency, recency_days, T_days = np.random.default_rng(2).permutation(np.array(rows * times, dtype=float)).T
    return frequency, recency_days, T_days


def test_every_history_has_what_the_model_itself_says(model: PurchaseModel) -> None:
    x, t_x, T = repeated_grid()
    found = outlook(model, HORIZONS, x, t_x, T)
    assert found.alive.tolist() == model.probability_alive(x, t_x, T).tolist()
    assert found.wait_days.tolist() == model.median_wait_days(x, T).tolist()
    assert found.purchases.shape == (len(x), len(HORIZONS))
    for place, days in enumerate(HORIZONS):
        assert found.purchases[:, place].tolist() == model.expected_purchases(days, x, t_x, T).tolist()
    assert found.purchases[:, 0].tolist() == [0.0] * len(x)


def test_one_customer_alone_has_the_same_bits_as_among_others(model: PurchaseModel) -> None:
    x, t_x, T = repeated_grid()
    together = outlook(model, HORIZONS, x, t_x, T)
    for row in range(len(x)):
        alone = outlook(model, HORIZONS, x[[row]], t_x[[row]], T[[row]])
        assert alone.alive[0] == together.alive[row]
        assert alone.wait_days[0] == together.wait_days[row]
        assert alone.purchases[0].tolist() == together.purchases[row].tolist()


def test_histories_that_differ_in_one_number_only_are_told_apart(model: PurchaseModel) -> None:
    x, t_x, T = np.array([[2, 30, 60], [3, 30, 60], [2, 31, 60], [2, 30, 61], [2, 30, 60]], dtype=float).T
    alive = outlook(model, [30.0], x, t_x, T).alive
    assert len(set(alive.tolist())) == 4
    assert alive[0] == alive[4]


def test_the_wait_is_the_median_of_waits_with_rates_as_the_model_has_them(model: PurchaseModel) -> None:
    """Simulated: a rate of Gamma(r + x, alpha + T), then an exponential wait."""
    generator = np.random.default_rng(4)
    x, T = 3.0, 140.0
    rates = generator.gamma(model.r + x, 1 / (model.alpha * 7 + T), 400_000)
    waits = generator.exponential(1 / rates)
    found = outlook(model, [30.0], *np.array([[x], [100.0], [T]])).wait_days[0]
    assert np.median(waits) == pytest.approx(found, rel=0.01)


def test_a_contradictory_history_or_horizon_is_an_error(model: PurchaseModel) -> None:
    one = np.ones(2)
    with pytest.raises(DataError, match="lies after the last observed day") as raised:
        outlook(model, [30.0], one, np.array([3.0, 9.0]), np.array([5.0, 5.0]))
    assert raised.value.where == "recency_days against T_days: 1 of 2 rows, first at position 1"
    with pytest.raises(DataError, match="frequency is not a whole number"):
        outlook(model, [30.0], one / 2, one, one)
    with pytest.raises(UsageError, match=r"A horizon of -1\.0 days is not a length of time"):
        outlook(model, [30.0, -1.0], one, one, one)


class TestStored:
    def test_every_family_comes_back_from_json_as_it_was(self, model: PurchaseModel) -> None:
        stored = PurchaseParameters.of(model).model_dump_json()
        back = PurchaseParameters.model_validate_json(stored).model()
        assert type(back) is type(model)
        assert back == model

    def test_a_subclass_is_stored_as_itself(self) -> None:
        # MBG/NBD is a kind of BG/NBD in the code, and has the same parameters: the family must tell them apart.
        assert {name: PurchaseParameters.of(model).family for name, model in MODELS.items()} == {
            name: name for name in FAMILIES
        }
        assert PurchaseParameters.of(MODELS["mbg_nbd"]).parameters == {
            "r": 0.525, "alpha": 6.183, "a": 0.891, "b": 1.614, "days_per_period": 7.0,
        }  # fmt: skip

    def test_an_unknown_family_is_refused(self) -> None:
        stored = {"family": "nbd", "parameters": MODELS["bg_nbd"].to_dict()}
        with pytest.raises(ValidationError, match="'bg_nbd', 'mbg_nbd' or 'pareto_nbd'"):
            PurchaseParameters.model_validate_json(json.dumps(stored))

    def test_a_parameter_of_another_family_is_refused(self) -> None:
        mixed = PurchaseParameters(family="pareto_nbd", parameters=MODELS["bg_nbd"].to_dict())
        with pytest.raises(RegistryError, match="'a' is no parameter") as raised:
            mixed.model()
        assert (raised.value.where, raised.value.fix) == ("stored ParetoNbd", "Train the model again.")

    def test_a_missing_parameter_is_named(self) -> None:
        parameters = MODELS["bg_nbd"].to_dict()
        del parameters["alpha"]
        with pytest.raises(RegistryError, match="The parameter 'alpha' is missing or no number"):
            PurchaseParameters(family="bg_nbd", parameters=parameters).model()

    def test_a_parameter_that_is_not_above_zero_is_named(self) -> None:
        with pytest.raises(UsageError, match=r"The parameter r is 0\.0, and has to be a number above 0"):
            PurchaseParameters(family="mbg_nbd", parameters=MODELS["mbg_nbd"].to_dict() | {"r": 0.0}).model()

    def test_a_word_where_a_number_belongs_is_refused(self) -> None:
        with pytest.raises(ValidationError, match="valid number"):
            PurchaseParameters.model_validate({"family": "bg_nbd", "parameters": {"r": "much"}})
