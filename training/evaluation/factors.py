"""What drives the risk of all customers of a band, as exactly as one customer's reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kernel.churn_predictor import ChurnPredictor
from kernel.part import Floats
from kernel.types import Band

MOST_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class BandFactors:
    """One band.

    Attributes:
        customers: how many were looked at.
        risk: their mean predicted probability.
        effects: group of features -> mean part in their log-odds of churn, the largest first; above 0 raises the risk.
    """

    band: Band
    customers: int
    risk: float
    effects: Mapping[str, float]


def band_factors(model: ChurnPredictor, inputs: Floats) -> list[BandFactors]:
    """The bands from high to low, those without customers left out.

    Args:
        inputs: the model's, of the cohort, shape (rows, columns); of more than ``MOST_ROWS`` every n-th is taken.
    """
    some = inputs[:: max(1, len(inputs) // MOST_ROWS)]
    names, probability = model.manifest.groups.names, model.probability(some)
    groups = model.manifest.groups.sums(model.contributions(some))
    bands = model.bands(model.percentile(probability))
    found: list[BandFactors] = []
    for band in (Band.HIGH, Band.MEDIUM, Band.LOW):
        here = bands == band
        if not here.any():
            continue
        effects = {name: float(effect[here].mean()) for name, effect in zip(names, groups.T, strict=True)}
        ranked = dict(sorted(effects.items(), key=lambda one: -abs(one[1])))
        found.append(BandFactors(band, int(here.sum()), float(probability[here].mean()), ranked))
    return found
