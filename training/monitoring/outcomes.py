"""What came after scores that are ripe, by the labels of training, and how well they had said it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from features.contract.profiles import Profiles
from kernel.artefacts import Similar
from kernel.part import Floats
from kernel.settings import Settings
from kernel.types import Status
from training.labels.label import Label, churn_label, spend_label
from training.labels.window import LabelWindow
from training.monitoring.figures import ChurnFigures, ValueFigures, churn_figures, value_figures
from training.monitoring.ripeness import Kind
from training.treatment import treatment_of

NUMBERS: dict[Kind, str] = {"churn": "churn_probability", "value": "lifetime_value"}
"""The column of the scores that each kind of model fills."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The customers of one moment with what came; index customer_id of ``scores``.

    Attributes:
        scores: columns of the ledger of scores.
        label: 1.0 or 0.0 for churn, money for value; shape (rows,).
        treated: customers left out because a retention action reached them in the window.
        unknown: customers left out because they had no such outcome, as after a competing end, or because nothing may
            be known of them any more.
    """

    scores: pd.DataFrame
    label: Floats
    treated: int
    unknown: int


def label_of(kind: Kind, settings: Settings) -> Label:
    """The label of training."""
    return churn_label(settings.churn) if kind == "churn" else spend_label(settings.value)


def outcomes(
    profiles: Profiles, settings: Settings, kind: Kind, scores: pd.DataFrame, as_of: datetime, known_at: datetime
) -> Outcomes:
    """Look up what came, as it is known at ``known_at``: rows that arrived later are not seen.

    Args:
        scores: of one moment and one model: index customer_id, with ``status`` and the number.

    Raises:
        NotEnoughDataError: the scores are not ripe.
    """
    label = label_of(kind, settings)
    judged = scores.loc[((scores["status"] == Status.SCORED) & scores[NUMBERS[kind]].notna()).to_numpy(bool)]
    came = label.outcomes(profiles, judged.index, as_of, label.window, known_at).to_numpy(float)
    treated = np.zeros(len(judged), dtype=bool)
    if (treatment := treatment_of(settings.churn)) is not None:
        window = LabelWindow(min(treatment.days, label.window.days))
        treated = treatment.event(profiles, judged.index, as_of, window, known_at).to_numpy() > 0
    unknown = (np.isnan(came) | ~judged.index.isin(_known(profiles))) & ~treated
    kept = ~treated & ~unknown
    return Outcomes(judged.loc[kept], came[kept], int(treated.sum()), int(unknown.sum()))


def _known(profiles: Profiles) -> list[str]:
    # Who withdrew consent or was deleted since has no rows any more: that is no churn.
    rows = profiles.connection.cursor().execute("SELECT customer_id FROM customers WHERE consent").fetchall()
    return [row[0] for row in rows]


def figures(kind: Kind, found: Outcomes, intervals: Similar | None = None) -> ChurnFigures | ValueFigures | None:
    """How well the scores had said it; None where nobody is left to tell.

    Args:
        intervals: of one customer's spend, by the model that scored; those of customers who were new then are wider.
    """
    said = found.scores[NUMBERS[kind]].to_numpy(float)
    if not len(said) or said.sum() <= 0:
        return None
    if kind == "churn":
        return churn_figures(said, found.label)
    bounds = () if intervals is None else (said * side for side in intervals.bounds(said))
    return value_figures(said, found.label, *bounds)
