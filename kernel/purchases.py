"""The stored model of purchases, whichever family it is of, asked for many customers and horizons at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kernel.btyd import BgNbd, Floats, MbgNbd, checked_histories
from kernel.pareto_nbd import ParetoNbd
from kernel.part import Part

Family = Literal["bg_nbd", "mbg_nbd", "pareto_nbd"]
PurchaseModel = BgNbd | MbgNbd | ParetoNbd
FAMILIES: Mapping[Family, type[BgNbd] | type[MbgNbd] | type[ParetoNbd]] = {
    "bg_nbd": BgNbd,
    "mbg_nbd": MbgNbd,
    "pareto_nbd": ParetoNbd,
}


class PurchaseParameters(Part):
    """A family and its parameters, ready for JSON."""

    family: Family
    parameters: dict[str, float]

    @classmethod
    def of(cls, model: PurchaseModel) -> PurchaseParameters:
        """Those of a fitted model."""
        family: Family = next(name for name, kind in FAMILIES.items() if kind is type(model))
        return cls(family=family, parameters=model.to_dict())

    def model(self) -> PurchaseModel:
        """The model that they belong to.

        Raises:
            RegistryError: a parameter is missing or unknown.
            UsageError: one is not above 0.
        """
        return FAMILIES[self.family].from_dict(self.parameters)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a model of purchases expects of customers.

    Attributes:
        alive: P(alive at T), shape (rows,).
        purchases: purchase days in each of the horizons, shape (rows, horizons).
        wait_days: until the next purchase; half of such customers take so long at most if they are alive, shape
            (rows,).
    """

    alive: Floats
    purchases: Floats
    wait_days: Floats


def outlook(
    model: PurchaseModel, horizons_days: Sequence[float], frequency: Floats, recency_days: Floats, T_days: Floats
) -> Outlook:
    """All of it; what depends on frequency and T alone is computed once for all customers alike in them.

    Args:
        frequency, recency_days, T_days: shape (rows,).

    Raises:
        DataError: the histories contradict themselves, see ``kernel.btyd.checked_histories``.
        UsageError: a horizon is negative or not finite.
    """
    x, t_x, age = checked_histories(frequency, recency_days, T_days)
    alive = _probability_alive(model, x, t_x, age)
    pair_of, (x, age) = _distinct(x, age)
    if_alive = model.purchases_if_alive(horizons_days, x, age)
    return Outlook(alive, alive[:, None] * if_alive[pair_of], model.median_wait_days(x, age)[pair_of])


def _probability_alive(model: PurchaseModel, x: Floats, t_x: Floats, age: Floats) -> Floats:
    if isinstance(model, BgNbd):  # a formula: to look for customers of the same history costs more
        return model.probability_alive(x, t_x, age)
    row_of, histories = _distinct(x, t_x, age)
    return model.probability_alive(*histories)[row_of]


def _distinct(*columns: Floats) -> tuple[NDArray[np.intp], list[Floats]]:
    if len(columns[0]) == 1:  # to look for others like it costs more than the answer
        return np.zeros(1, dtype=np.intp), list(columns)
    groups = pd.DataFrame(dict(enumerate(columns))).groupby(list(range(len(columns))), sort=False)
    row_of = groups.ngroup().to_numpy()
    first = np.empty(int(row_of.max()) + 1, dtype=np.intp)
    first[row_of] = np.arange(len(row_of))  # any of a group: they are equal
    return row_of, [column[first] for column in columns]
