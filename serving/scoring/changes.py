"""What would bring a customer into a lower churn band, in words."""

from __future__ import annotations

import numpy as np

from kernel.feature_rows import Features
from kernel.types import LowerBand
from serving.scoring.scorer import Scorer, Scores
from serving.scoring.wording import Wording

MOST = 3


def lower_bands(scorer: Scorer, features: Features, scores: Scores) -> list[LowerBand]:
    """The ``MOST`` nearest changes of one scored customer; empty without a band, in the lowest, or where nothing does.

    Args:
        features: one row.
        scores: of that row.
    """
    model, band = scorer.churn, scores.band[0]
    if band is None:
        return []
    wording = Wording.of(scorer.language, model.manifest.currency)
    found: list[LowerBand] = []
    for change in model.changes(model.inputs(features)[0], band)[:MOST]:
        column = model.manifest.columns[change.column]
        [lower] = model.bands(np.array([change.percentile]))
        text = wording.change(column, change.value, change.target)
        found.append(
            LowerBand(
                behaviour=change.behaviour,
                label=wording.behaviour(change.behaviour),
                code=column.name,
                text=text,
                value=change.value,
                target=change.target,
                probability=change.probability,
                percentile=change.percentile,
                band=lower,
            )
        )
    return found
