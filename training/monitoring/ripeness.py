"""Which scores can be compared with what came, and from when on the others can: the ledger of what is ripe."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from kernel.churn_predictor import ChurnPredictor
from kernel.settings import Settings
from kernel.value_predictor import ValuePredictor
from training.comparison import questions
from training.labels.window import LabelWindow

Kind = Literal["churn", "value"]


class State(StrEnum):
    """Whether outcomes can be looked at."""

    RIPE = "ripe"
    WAITING = "waiting"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Ripeness:
    """The scores of one model at one moment.

    Attributes:
        as_of: the moment that was scored, UTC.
        kind: of the model.
        model: its version, such as ``churn/3``.
        customers: with a number of it.
        state: ripe, waiting, or never.
        on: the first moment at which the outcomes are certain, UTC; None where that is never.
        why: never, as the rest of a sentence.
    """

    as_of: datetime
    kind: Kind
    model: str
    customers: int
    state: State
    on: datetime | None
    why: str = ""


def ripeness(
    as_of: datetime, kind: Kind, model: str, customers: int, window: LabelWindow, known: datetime, obstacle: str = ""
) -> Ripeness:
    """When the scores of a moment are ripe.

    Args:
        window: in which the outcome is looked for, with its gap and what it takes to be certain.
        known: the data reach until then.
        obstacle: why the outcomes will never be looked at; empty where they will.
    """
    if obstacle:
        return Ripeness(as_of, kind, model, customers, State.NEVER, None, obstacle)
    state = State.RIPE if window.is_ripe(as_of, known) else State.WAITING
    return Ripeness(as_of, kind, model, customers, state, window.certain(as_of))


def obstacle(predictor: ChurnPredictor | ValuePredictor | None, settings: Settings) -> str:
    """Why the scores of a model are compared with no outcome; empty where they are.

    Args:
        predictor: None where its version is gone.
    """
    if predictor is None:
        return "the model that scored is no longer in the registry"
    asked, answered = questions(predictor, settings)
    return "" if asked == answered else "the model answered another question than is asked now"
