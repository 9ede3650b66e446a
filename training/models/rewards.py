"""The reward that each logged decision was to be expected to bring under every action, for doubly robust estimates."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernel.encoding import Encoding
from kernel.part import Floats
from training.models.uplift_learners import Ints, Trial, chosen_penalty, fit_shared_line

_FOLDS = 5


def expected_rewards(
    inputs: Floats,
    categories: tuple[int, ...],
    action: Ints,
    reward: Floats,
    customer: NDArray[Any],
    actions: int,
    *,
    seed: int = 0,
) -> Floats:
    """Of every row by a model that was fitted without the row's customer, shape (rows, actions).

    Args:
        inputs: what was known of the customer, NaN where unknown, shape (rows, columns).
        categories: number of words of each column, 0 for a number.
        action: drawn, from 0 to ``actions`` - 1, shape (rows,).
        reward: that followed, shape (rows,).
        customer: whose decision it was, shape (rows,).
    """
    # A reward model looks at outcomes only; how the action was drawn plays no part in it.
    trial = Trial(inputs, categories, action, reward, np.ones((len(action), actions)), customer, "value")
    fold = trial.folds(_FOLDS, seed)
    expected = np.zeros((len(trial), actions))
    for number in range(_FOLDS):
        seen = trial.take(fold != number)
        encoding = Encoding.of(seen.inputs, categories)
        line = fit_shared_line(seen, encoding, chosen_penalty(seen, encoding, seed))
        expected[fold == number] = line.outcome(inputs[fold == number])
    return expected
