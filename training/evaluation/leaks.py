"""What knows the outcome before it came: features that tell it alone, and splits that let it through."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from kernel.errors import DataError
from kernel.part import Floats
from training.dataset import LabelledSet

LEAK = 0.95
"""An AUC of one column alone from which on it is taken for the outcome in other words."""
_MOST_ROWS = 20_000
_FEWEST_ROWS = 20  # of a word, on average: rates of fewer say nothing


def auc_alone(values: pd.Series, happened: Floats) -> float:
    """How well a column ranks by itself, in the better direction: numbers by size, words by their rate.

    Args:
        values: numbers or words; missing values are a value of their own.
        happened: 1.0 or 0.0, both of which occur, shape (rows,).
    """
    if not pd.api.types.is_numeric_dtype(values):
        codes = values.fillna("").to_numpy()
        if len(np.unique(codes)) > len(codes) / _FEWEST_ROWS:
            return 0.5
        score = pd.Series(happened).groupby(codes).transform("mean").to_numpy()
    else:
        score = values.fillna(values.median()).fillna(0.0).to_numpy()
    auc = float(roc_auc_score(happened, score))
    missing = float(roc_auc_score(happened, values.isna()))
    return max(auc, 1 - auc, missing, 1 - missing)


def suspects(features: pd.DataFrame, columns: Sequence[str], happened: Floats) -> dict[str, float]:
    """The features that tell the outcome almost alone -> their AUC, the highest first.

    A feature as of its cut-off does so rarely. One that looked into the label window does: it was built as of a later
    moment, or a table's rows were filled in after the outcome.

    Args:
        features: of the rows, as of their cut-offs.
        happened: 1.0 or 0.0, shape (rows,).
    """
    step = max(1, len(features) // _MOST_ROWS)
    rows, outcome = features.iloc[::step], happened[::step]
    if outcome.min() == outcome.max():
        return {}
    found = {name: auc_alone(rows.loc[:, name], outcome) for name in columns}
    return dict(sorted(((name, auc) for name, auc in found.items() if auc >= LEAK), key=lambda one: -one[1]))


def check_split(train: LabelledSet, test: LabelledSet) -> int:
    """Check that ``test`` lies after everything that ``train`` knows, as it does in earnest.

    Returns:
        How many rows of ``test`` stand in ``train`` too, feature by feature and with the same label, under whatever
        customer. Coarse features make some; many are duplicates.

    Raises:
        DataError: a label window of ``train`` is not over at the first cut-off of ``test``, as after a random split.
    """
    latest, first = _moment(train.cutoff.max()), _moment(test.cutoff.min())
    known = train.window.certain(latest)
    if known > first:
        raise DataError(
            f"The training labels of {latest:%Y-%m-%d} are known only on {known:%Y-%m-%d}, after the first cut-off of "
            f"the test, {first:%Y-%m-%d}: a model would be tested on a past that it has seen.",
            where="split",
            fix=f"Split by time: train on cut-offs until {first - (known - latest):%Y-%m-%d}, test on later ones.",
        )
    return int(_rows(test).isin(_rows(train)).sum())


def _moment(cutoff: np.datetime64) -> datetime:
    return cutoff.astype("datetime64[us]").item()


def _rows(rows: LabelledSet) -> pd.Series:
    values = rows.features.assign(_label=rows.label).itertuples(index=False)
    return pd.Series([repr(tuple(row)) for row in values])
