"""Predictions for rows whose customer was not in training: honest material for calibration and intervals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kernel.artefacts import Floats
from training.dataset import TrainingSet

FOLDS = 5
Fit = Callable[[TrainingSet], Callable[[TrainingSet], Floats]]


def out_of_fold(data: TrainingSet, fit: Fit, purpose: str = "fold", *, folds: int = FOLDS) -> Floats:
    """Each row's prediction by a model that saw none of that customer's rows.

    Args:
        fit: takes a training set, returns a function from rows to predictions, of shape (rows,) or (rows, n).
        purpose: folds of different purposes cut the customers in different ways.

    Returns:
        shape (rows,) or (rows, n).
    """
    fold = customer_folds(data, purpose, folds)
    parts = [(fold == k, fit(data.rows(fold != k))(data.rows(fold == k))) for k in range(folds)]
    predictions = np.empty((len(data), *parts[0][1].shape[1:]))
    for held_out, predicted in parts:
        predictions[held_out] = predicted
    return predictions


def customer_folds(data: TrainingSet, purpose: str = "fold", folds: int = FOLDS) -> np.ndarray:
    """The fold of each row, by a hash of the customer: all rows of one customer share it, and it needs no seed."""
    return (data.customer_share(purpose) * folds).astype(int)


def newest_half(data: TrainingSet) -> np.ndarray:
    """Rows of the newer half of the cut-offs, bool: calibration looks at later time than most of training."""
    cutoffs = np.unique(data.cutoff)
    return data.cutoff >= cutoffs[len(cutoffs) // 2]
