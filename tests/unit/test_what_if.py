"""Features replaced by the request's what_if, in both ways that rows are held."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.definitions import feature_set
from kernel.feature_rows import FeatureLayout, FeatureRows, FrameRows, PackedRows
from serving.what_if import WhatIf, WhatIfError, with_what_if

FEATURES = feature_set({"income": "string"})
FRAME = pd.DataFrame(
    {"orders_30d": [1.0, 2.0], "income": "", "orders_60d": [4.0, 5.0]},
    index=pd.Index(["a", "b"], name="customer_id", dtype=object),
).assign(income=lambda frame: pd.Series(["low", None], index=frame.index, dtype=object))


def packed() -> PackedRows:
    layout = FeatureLayout(("orders_30d", "orders_60d"), ("income",))
    matrix = np.array([[1.0, 4.0], [2.0, 5.0]])
    return PackedRows(layout, ["a", "b"], matrix, [["low"], [None]], tuple(FRAME.columns))


@pytest.mark.parametrize("rows", [FrameRows(FRAME), packed()], ids=["frame", "packed"])
def test_values_take_the_place_of_the_customers_own(rows: FeatureRows) -> None:
    replaced = with_what_if(rows, {"orders_30d": "7", "income": "high"}, FEATURES)
    assert replaced.number("orders_30d").tolist() == [7.0, 7.0]
    assert replaced.values("income") == ["high", "high"]
    assert replaced.number("orders_60d").tolist() == [4.0, 5.0]
    unknown = with_what_if(replaced, {"orders_30d": None, "income": None}, FEATURES)
    assert np.isnan(unknown.number("orders_30d")).all()
    assert unknown.values("income") == [None, None]
    assert list(replaced.frame.columns) == list(FRAME.columns)
    pd.testing.assert_frame_equal(rows.frame, FRAME)


@pytest.mark.parametrize(
    ("what_if", "field", "fix"),
    [
        ({"order_30d": 1.0}, "what_if.order_30d", "Did you mean 'orders_30d'?"),
        ({"orders_30d": "many"}, "what_if.orders_30d", "Send one, or null for unknown."),
        ({"orders_30d": "inf"}, "what_if.orders_30d", "Send one, or null for unknown."),
        ({"income": 3.0}, "what_if.income", "Send a text, or null for unknown."),
    ],
)
def test_what_no_feature_can_be(what_if: WhatIf, field: str, fix: str) -> None:
    with pytest.raises(WhatIfError) as refused:
        with_what_if(packed(), what_if, FEATURES)
    assert (refused.value.where, refused.value.fix) == (field, fix)
    assert "many" not in str(refused.value)


def test_an_unknown_name_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        packed().with_values({"unheard": 1.0})
    with pytest.raises(KeyError):
        FrameRows(FRAME).with_values({"unheard": 1.0})
