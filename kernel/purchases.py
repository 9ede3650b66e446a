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
    """All of it; customers of the same history are computed once.

    Args:
        frequency, recency_days, T_days: shape (rows,).

    Raises:
        DataError: the histories contradict themselves, see ``kernel.btyd.checked_histories``.
        UsageError: a horizon is negative or not finite.
    """
    columns = checked_histories(frequency, recency_days, T_days)
    # One customer: to look for others like it costs more than the answer.
    row_of, (x, t_x, age) = (np.zeros(1, dtype=np.intp), list(columns)) if len(frequency) == 1 else _distinct(*columns)
    alive = model.probability_alive(x, t_x, age)
    purchases = np.column_stack([alive * model.purchases_if_alive(days, x, age) for days in horizons_days])
    return Outlook(alive[row_of], purchases[row_of], model.median_wait_days(x, age)[row_of])


def _distinct(*columns: Floats) -> tuple[NDArray[np.intp], list[Floats]]:
    groups = pd.DataFrame(dict(enumerate(columns))).groupby(list(range(len(columns))), sort=False)
    row_of = groups.ngroup().to_numpy()
    first = np.empty(int(row_of.max()) + 1, dtype=np.intp)
    first[row_of] = np.arange(len(row_of))  # any of a group: they are equal
    return row_of, [column[first] for column in columns]
