"""A flat table is judged by customers, and what gives the outcome away is left out or said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kernel.errors import NotEnoughDataError, UsageError
from training.flat_table import MOST_WORDS, judge_table


def table(rows: int = 1500, seed: int = 1) -> pd.DataFrame:
    """Tenure and contract tell who leaves; noise does not."""
    random = np.random.default_rng(seed)
    tenure, contract = random.integers(1, 72, rows), random.choice(["month", "year"], rows)
    log_odds = 1.0 - 0.05 * tenure + 0.9 * (contract == "month")
    left = random.random(rows) < 1 / (1 + np.exp(-log_odds))
    frame = pd.DataFrame({"id": [f"c{i}" for i in range(rows)], "tenure": tenure, "contract": contract})
    frame["noise"] = random.normal(size=rows)
    frame["churn"] = np.where(left, "Yes", "No")
    return frame


def test_a_good_table() -> None:
    found = judge_table(table(), "churn", customer="id")
    assert found.columns == ("tenure", "contract", "noise")
    assert (found.customers, found.repeated, found.left_out) == (1500, 0, {})
    assert found.happened == int((table()["churn"] == "Yes").sum())
    assert found.auc is not None
    # The truth itself ranks with .78 here.
    assert found.auc.low < 0.78 < found.auc.high
    assert found.metrics["ece"] < 0.05
    assert found.grade is not None
    assert found.grade.letter == "A"
    assert found.probability.index.equals(table().index)


def test_noise_is_worth_nothing() -> None:
    frame = table().assign(churn=np.random.default_rng(9).choice(["Yes", "No"], 1500))
    found = judge_table(frame, "churn", customer="id")
    assert found.auc is not None
    assert found.auc.low < 0.5 < found.auc.high
    assert found.grade is not None
    assert found.grade.sureness["A"] < 0.5


def test_what_is_filled_after_the_outcome_is_left_out_and_named() -> None:
    frame = table()
    left = frame["churn"] == "Yes"
    frame["end_reason"] = np.where(left, "price", None)
    frame["refund"] = np.where(left, 5.0 + frame["noise"], np.nan)
    found = judge_table(frame, "churn", customer="id")
    assert set(found.left_out) == {"end_reason", "refund"}
    assert all("almost alone (AUC" in reason for reason in found.left_out.values())
    assert found.auc is not None
    assert found.auc.high < 0.85
    kept = judge_table(frame, "churn", customer="id", keep=("refund",))
    assert "refund" in kept.columns
    assert kept.metrics["auc"] > 0.99


def test_equal_rows_stay_in_one_fold() -> None:
    # Noise repeated under other ids: a model that has seen the copy knows the outcome.
    frame = table(400).assign(churn=np.random.default_rng(9).choice(["Yes", "No"], 400))
    double = pd.concat([frame, frame.assign(id=frame["id"] + "x")], ignore_index=True)
    found = judge_table(double, "churn", customer="id")
    assert found.repeated == 400
    assert found.metrics["auc"] == pytest.approx(0.5, abs=0.09)


def test_coarse_columns_do_not_make_one_customer_of_many() -> None:
    found = judge_table(table(600)[["id", "contract", "churn"]], "churn", customer="id")
    assert (found.repeated, found.columns) == (0, ("contract",))


def test_rows_of_one_customer_stay_in_one_fold() -> None:
    random = np.random.default_rng(2)
    people = pd.DataFrame({"id": [f"c{i}" for i in range(300)], "x": random.normal(size=300)})
    people["churn"] = random.integers(0, 2, 300)
    rows = pd.concat([people.assign(visit=visit) for visit in range(4)], ignore_index=True)
    assert judge_table(rows, "churn", customer="id").metrics["auc"] == pytest.approx(0.5, abs=0.1)


def test_columns_are_read_as_people_write_them() -> None:
    frame = table()
    frame["charges"] = (frame["tenure"] * 2.5).astype(str)
    frame.loc[::50, "charges"] = " "  # blanks in a column of numbers
    frame["email"] = frame["id"] + "@example.org"
    frame["opened"] = pd.Timestamp("2020-01-01")
    frame["country"] = "fr"
    frame["town"] = [f"t{i % 200}" for i in range(1500)]
    found = judge_table(frame, "churn", customer="id")
    assert "charges" in found.columns
    assert set(found.left_out) == {"email", "opened", "country"}
    assert "town" in found.columns
    assert MOST_WORDS < 200


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda f: f.assign(churn="No"), UsageError, "counts as the outcome"),
        (lambda f: f.assign(churn="Yes"), NotEnoughDataError, "0 stayed"),
        (lambda f: f.head(40), NotEnoughDataError, "a model needs 20 of each"),
        (lambda f: f.assign(churn=["a", "b", "c"] * 500), UsageError, "has 3 values"),
        (lambda f: f.assign(churn=["a", "b"] * 750), UsageError, "is not said"),
        (lambda f: f.rename(columns={"churn": "left"}), UsageError, "no column 'churn'"),
        (lambda f: f.assign(tenure=1, contract="month", noise=0.0), NotEnoughDataError, "No column is left"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_refused(change: object, error: type[Exception], says: str) -> None:
    with pytest.raises(error) as caught:
        judge_table(change(table()), "churn", customer="id")  # type: ignore[operator]
    assert says in caught.value.what  # type: ignore[attr-defined]
