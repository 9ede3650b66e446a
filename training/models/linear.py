"""Logistic regression on all features, held short by a ridge: it goes straight where trees go in steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression

from kernel.artefacts import FeatureColumn, Floats
from kernel.encoding import moments
from kernel.linear_part import LinearPart, signed_log, standardised

PENALTIES = (0.2, 0.02, 0.002)
"""Of half a squared standardised weight, beside the mean log-loss of a row."""


def fit_linear(
    inputs: Floats,
    columns: tuple[FeatureColumn, ...],
    target: Floats,
    penalty: float,
    *,
    weight: Floats | None = None,
    directions: Sequence[int] = (),
) -> LinearPart:
    """Fit one regression.

    Args:
        inputs: the model's, shape (rows, columns); NaN where unknown.
        target: 1.0 or 0.0, shape (rows,).
        penalty: see ``PENALTIES``.
        weight: of each row; None for one each.
        directions: of each column, 1 where the target only rises with it, -1 where it falls, 0 where nobody says;
            empty for none. A column that would go the other way has no effect.
    """
    is_word = np.array([column.categories is not None for column in columns])
    unknown = np.isnan(inputs)
    mean, deviation = moments(signed_log(inputs), unknown | is_word)
    numbers = np.where(unknown | is_word, 0.0, standardised(inputs, mean, deviation))
    words = [_one_hot(inputs[:, i], len(column.categories or ())) for i, column in enumerate(columns) if is_word[i]]
    flagged = np.flatnonzero(unknown.sum(axis=0))
    design = np.hstack([numbers, unknown[:, flagged], *words])
    # This solver ends at the optimum to the last digits, however many threads there are.
    model = LogisticRegression(C=1 / (penalty * len(inputs)), solver="newton-cholesky", max_iter=100)
    wanted = np.array(directions) if len(directions) else np.zeros(len(columns))
    while True:
        model.fit(design, target, weight)
        contrary = np.flatnonzero(np.ravel(model.coef_)[: len(columns)] * wanted < 0)
        if not len(contrary):
            break
        design[:, contrary] = 0.0
    sizes = [len(columns), len(flagged), *(part.shape[1] for part in words)]
    slope, of_missing, *rest = np.split(np.ravel(model.coef_), np.cumsum(sizes)[:-1])
    missing = np.zeros(len(columns))
    np.put(missing, flagged, of_missing)
    effects = iter(rest)
    raw = LinearPart(
        intercept=float(np.ravel(model.intercept_)[0]),
        mean=tuple(mean),
        deviation=tuple(deviation),
        weight=tuple(np.where(is_word, 0.0, slope)),
        known=(0.0,) * len(columns),
        missing=tuple(missing),
        words=tuple(tuple(next(effects)) if word else () for word in is_word),
    )
    return _centred(raw, inputs)


def _one_hot(codes: Floats, categories: int) -> Floats:
    return (codes[:, None] == np.arange(categories)).astype(float)


def _centred(part: LinearPart, inputs: Floats) -> LinearPart:
    """The same log-odds, with effects that average 0 over the rows: what a customer has beside the usual one."""
    usual = part.effects(inputs).mean(axis=0)
    return LinearPart(
        intercept=part.intercept + float(usual.sum()),
        mean=part.mean,
        deviation=part.deviation,
        weight=part.weight,
        known=tuple(part.known - usual),
        missing=tuple(part.missing - usual),
        words=tuple(tuple(np.array(words) - usual[i]) if words else () for i, words in enumerate(part.words)),
    )
