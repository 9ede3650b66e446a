"""The parts of trees from tables are LightGBM's own, whatever the splits, the missing values and the rows beside."""

from __future__ import annotations

import re

import lightgbm as lgb
import numpy as np
import pytest

from kernel.part import Floats
from kernel.tree_parts import PartTables
from kernel.trees import predicted

COLUMNS = 6
CITY, COLOUR = 4, 5


def rows(count: int = 1500, seed: int = 5, missing: bool = True) -> Floats:
    """Four numbers, of which one is mostly 0 and one is whole, and the codes of two categories."""
    random = np.random.default_rng(seed)
    inputs = np.column_stack(
        [
            random.normal(size=count),
            random.exponential(size=count) * (random.random(count) < 0.4) - 0.2 * (random.random(count) < 0.2),
            random.integers(-3, 4, count),
            random.normal(size=count),
            random.integers(0, 40, count),
            random.integers(0, 5, count),
        ]
    )
    if missing:
        inputs[random.random(inputs.shape) < 0.15] = np.nan
    return inputs


def target(inputs: Floats) -> Floats:
    number, money, steps, other, city, colour = np.nan_to_num(inputs, nan=0.7).T
    return (
        number * (money > 0) + np.sin(2 * other) + steps * (city % 3) + (colour == 0) * number + np.isnan(inputs[:, 0])
    )


def trained(inputs: Floats, rounds: int = 40, **changes: object) -> lgb.Booster:
    settings = {"objective": "regression", "max_depth": 4, "num_leaves": 16, "min_data_in_leaf": 5, "max_bin": 63}
    settings |= {"min_data_per_group": 5, "cat_smooth": 1.0, "num_threads": 1, "verbose": -1, "seed": 1, **changes}
    data = lgb.Dataset(inputs, target(inputs), categorical_feature=[CITY, COLOUR])
    return lgb.train(settings, data, rounds)


def odd(inputs: Floats) -> Floats:
    """Rows that no training saw: values on the thresholds, near 0, far away, and codes that are none."""
    found = np.repeat(inputs[:60], 12, axis=0)
    values = [np.nan, 0.0, -0.0, 1e-35, -1e-35, 1.1e-35, -1e-40, np.inf, -np.inf, 1e301, -1e301, -0.5]
    found[np.arange(len(found)), np.random.default_rng(2).integers(0, COLUMNS, len(found))] = np.tile(values, 60)
    codes = [-1.0, -0.5, 0.9, 1.7, 39.0, 40.0, 31.0, 32.0, 1e6, 2.0**31, 1e12, np.nan]
    found[::2, CITY] = np.tile(codes, 30)
    found[1::2, COLOUR] = np.tile(codes, 30)
    return found


def lightgbm_s(booster: lgb.Booster, inputs: Floats) -> Floats:
    return np.asarray(booster.predict(inputs, pred_contrib=True, num_threads=1))


def tables_of(booster: lgb.Booster) -> PartTables:
    tables = PartTables.of(booster)
    assert tables is not None
    return tables


def kinds(booster: lgb.Booster) -> set[tuple[str, str, bool]]:
    """Of the splits: how they decide, what is missing, and whether it goes left."""
    nodes = [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]
    found: set[tuple[str, str, bool]] = set()
    while nodes:
        if "split_index" in (node := nodes.pop()):
            found.add((node["decision_type"], node["missing_type"], node["default_left"]))
            nodes += [node["left_child"], node["right_child"]]
    return found


MODELS = {
    "missing values": ({}, True, {("<=", "NaN", True), ("<=", "NaN", False), ("==", "NaN", False)}),
    "nothing missing": ({}, False, {("<=", "None", True), ("==", "None", False)}),
    "missing values are 0": ({"use_missing": False}, True, {("<=", "None", True)}),
    "0 is missing": ({"zero_as_missing": True}, True, {("<=", "Zero", True), ("<=", "Zero", False)}),
    "stumps": ({"max_depth": 1}, True, {("<=", "NaN", False)}),
    "of depth 8": ({"max_depth": 8, "num_leaves": 40, "rounds": 4}, True, {("<=", "NaN", True)}),
    "of log-odds": ({"objective": "cross_entropy", "boost_from_average": True}, True, {("<=", "NaN", True)}),
    "dropped out": ({"boosting": "dart", "drop_rate": 0.5}, True, {("<=", "NaN", True)}),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_parts_are_lightgbm_s_and_add_up(name: str) -> None:
    changes, missing, expected = MODELS[name]
    inputs = rows(missing=missing)
    booster = trained(inputs, **changes) if name != "of log-odds" else of_log_odds(inputs)
    assert expected <= kinds(booster)
    tables = tables_of(booster)
    for asked in (inputs[:300], odd(inputs)):
        parts = tables.parts(asked)
        np.testing.assert_allclose(parts, lightgbm_s(booster, asked), rtol=0, atol=1e-10)
        np.testing.assert_allclose(parts.sum(axis=1), booster.predict(asked, raw_score=True), rtol=0, atol=1e-9)
        assert np.array_equal(predicted(booster, asked, "contributions"), parts)


def of_log_odds(inputs: Floats) -> lgb.Booster:
    data = lgb.Dataset(inputs, (target(inputs) > 0).astype(float), categorical_feature=[CITY, COLOUR])
    settings = {"objective": "binary", "max_depth": 4, "num_leaves": 16, "num_threads": 1, "verbose": -1}
    return lgb.train(settings, data, 40)


def test_a_row_alone_is_the_same_row_among_many_bit_for_bit() -> None:
    inputs = rows()
    booster = trained(inputs)
    many = predicted(booster, inputs, "contributions")
    assert np.array_equal(many, np.concatenate([predicted(booster, row[None], "contributions") for row in inputs]))
    assert np.array_equal(many[::7], predicted(booster, inputs[::7], "contributions"))
    assert predicted(booster, inputs[:0], "contributions").shape == (0, COLUMNS + 1)


def test_a_model_read_from_its_text_says_the_same() -> None:
    inputs = rows()
    booster = trained(inputs)
    read = lgb.Booster(model_str=booster.model_to_string())
    assert np.array_equal(predicted(read, inputs, "contributions"), predicted(booster, inputs, "contributions"))


@pytest.mark.parametrize("threshold", ["0", "-0", "5e-36", "-5e-36", "1e-35", "-1e-35", "1.0000000180025095e-35"])
def test_what_is_nearly_0_is_0_at_a_threshold_near_0_too(threshold: str) -> None:
    inputs = rows(missing=False)[:, :1]
    data = lgb.Dataset(inputs, inputs[:, 0] > 0.1)
    grown = lgb.train({"objective": "regression", "num_leaves": 2, "num_threads": 1, "verbose": -1}, data, 1)
    text = re.sub(r"(?m)^threshold=.*$", f"threshold={threshold}", grown.model_to_string())
    booster = lgb.Booster(model_str=re.sub(r"(?m)^tree_sizes=.*\n", "", text))
    near = [0.0, -0.0, 3e-36, -3e-36, 7e-36, -7e-36, float(np.float32(1e-35)), -float(np.float32(1e-35)), 1.1e-35]
    asked = np.array([*near, -1.1e-35, 1.0, -1.0])[:, None]
    tables = tables_of(booster)
    np.testing.assert_allclose(tables.parts(asked), lightgbm_s(booster, asked), rtol=0, atol=1e-12)


def test_trees_of_one_leaf_add_to_the_base_alone() -> None:
    inputs = rows()
    booster = trained(inputs)
    text = booster.model_to_string()
    # The last tree becomes a stump of one leaf, as LightGBM writes one.
    start, end = text.index("Tree=39"), text.index("end of trees")
    leaf = "Tree=39\nnum_leaves=1\nnum_cat=0\nleaf_value=0.25\nis_linear=0\nshrinkage=1\n\n\n"
    text = re.sub(r"(?m)^tree_sizes=.*\n", "", text[:start] + leaf + text[end:])
    mixed = lgb.Booster(model_str=text)
    tables = tables_of(mixed)
    np.testing.assert_allclose(tables.parts(inputs[:50]), lightgbm_s(mixed, inputs[:50]), rtol=0, atol=1e-10)

    alone = trained(inputs, min_data_in_leaf=len(inputs))
    assert PartTables.of(alone) is None
    np.testing.assert_array_equal(predicted(alone, inputs[:5], "contributions")[:, :-1], 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"max_depth": -1, "num_leaves": 200},
        {"linear_tree": True},
        {"boosting": "rf", "bagging_fraction": 0.5, "bagging_freq": 1},
    ],
    ids=["deep", "linear", "a forest"],
)
def test_other_trees_have_no_tables(changes: dict[str, object]) -> None:
    assert PartTables.of(trained(rows(), **changes)) is None


def test_large_tables_are_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    booster = trained(rows(), rounds=5)
    assert PartTables.of(booster) is not None
    monkeypatch.setattr("kernel.tree_parts._LARGEST", 1000)
    assert PartTables.of(booster) is None


def test_without_tables_the_parts_are_still_lightgbm_s() -> None:
    inputs = rows()
    deep = trained(inputs, rounds=5, max_depth=-1, num_leaves=200)
    for asked in (inputs[:1], inputs[:150]):
        np.testing.assert_array_equal(predicted(deep, asked, "contributions"), lightgbm_s(deep, asked))


def test_several_outputs_have_no_tables() -> None:
    inputs = rows()
    settings = {"objective": "multiclass", "num_class": 3, "max_depth": 3, "num_threads": 1, "verbose": -1}
    booster = lgb.train(settings, lgb.Dataset(inputs, np.arange(len(inputs)) % 3), 2)
    assert PartTables.of(booster) is None
    assert predicted(booster, inputs[:1], "contributions").shape == (1, 3 * (COLUMNS + 1))


def test_another_number_of_columns_is_an_error() -> None:
    inputs = rows()
    booster = trained(inputs)
    for asked in (inputs[:1, :5], inputs[:200, :5]):
        with pytest.raises(ValueError, match="6 inputs, not 5"):
            predicted(booster, asked, "contributions")
