"""Who changes band when one churn model takes the place of another, and which features do it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from kernel.churn_predictor import ChurnPredictor
from kernel.part import Floats

MOST_ROWS = 20_000


def band_changes(before: ChurnPredictor, now: ChurnPredictor, population: pd.DataFrame) -> pd.DataFrame:
    """The customers of whom the models say different bands, as both see them at the same moment.

    Args:
        population: features of the cohort, index customer_id; of a larger one than ``MOST_ROWS`` every n-th is taken.

    Returns:
        Index customer_id; ``band_before``, ``band_now``, ``percentile_before``, ``percentile_now``, ``group``: the
        group of features whose part in the log-odds changed most in the direction of the change, and ``effect``: by how
        much, beside what changed for all. ``attrs["customers"]`` is how many were looked at.

    Raises:
        RegistryError: one of the models needs a feature that is not there.
    """
    some = population.iloc[:: max(1, len(population) // MOST_ROWS)]
    (percentile_before, of_before), (percentile_now, of_now) = _seen(before, some), _seen(now, some)
    bands = before.bands(percentile_before), now.bands(percentile_now)
    names = list(dict.fromkeys([*of_before, *of_now]))
    zero = np.zeros(len(some))
    moved = np.column_stack([of_now.get(name, zero) - of_before.get(name, zero) for name in names])
    moved -= moved.mean(axis=0)
    # What explains a rise is the largest rise.
    direction = np.sign(percentile_now - percentile_before)
    place = np.argmax(moved * direction[:, None], axis=1)
    found = pd.DataFrame(
        {
            "band_before": bands[0],
            "band_now": bands[1],
            "percentile_before": percentile_before,
            "percentile_now": percentile_now,
            "group": np.array(names, dtype=object)[place],
            "effect": moved[np.arange(len(some)), place],
        },
        index=some.index,
    )
    changed = found.loc[bands[0] != bands[1]]
    changed.attrs["customers"] = len(some)
    return changed


def summed(changes: pd.DataFrame) -> pd.DataFrame:
    """Customers by change and by the group of features behind it, the most frequent first: nobody is named."""
    counts = changes.value_counts(["band_before", "band_now", "group"]).reset_index(name="customers")
    return counts.sort_values("customers", ascending=False, ignore_index=True)


def _seen(model: ChurnPredictor, population: pd.DataFrame) -> tuple[Floats, dict[str, Floats]]:
    """Percentiles, and what each group adds to the log-odds."""
    inputs = model.inputs(population)
    groups = model.manifest.groups
    effects = dict(zip(groups.names, groups.sums(model.contributions(inputs)).T, strict=True))
    return model.percentile(model.probability(inputs)), effects
