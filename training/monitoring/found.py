"""All that one look at the models found, before it is judged and written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from training.monitoring.drift import FeatureDrift, ScoreDrift
from training.monitoring.figures import Bounded, ChurnFigures, ValueFigures
from training.monitoring.reference import Promise
from training.monitoring.ripeness import Kind, Ripeness


@dataclass(frozen=True)
class Watched:
    """A model in use.

    Attributes:
        version: such as ``churn/3``.
        trained: the moment of its training; ``customers`` were those that it spoke of then.
        now: how many it speaks of now.
        features: those that moved most of the model first.
    """

    version: str
    trained: datetime
    customers: int
    now: int
    features: Sequence[FeatureDrift]


@dataclass(frozen=True)
class Cohort:
    """The scores of one model at one moment, with what came.

    Attributes:
        ripe: moment, model, customers.
        figures: None where nobody was left to tell.
        promise: what the back-test beside the training of that model had shown; None where there was none.
        treated, unknown: customers left out because a retention action reached them, or because they had no outcome.
    """

    ripe: Ripeness
    figures: ChurnFigures | ValueFigures | None
    promise: Promise | None
    treated: int = 0
    unknown: int = 0

    @property
    def drop(self) -> Bounded | None:
        """By how much the AUC (or, of value, the rank correlation) lies below what was promised."""
        now, then = ranking(self.figures), ranking(self.promised)
        return None if now is None or then is None else then.less(now)

    @property
    def promised(self) -> ChurnFigures | ValueFigures | None:
        """The figures of the back-test."""
        if self.promise is None:
            return None
        return self.promise.churn if self.ripe.kind == "churn" else self.promise.value


def ranking(figures: ChurnFigures | ValueFigures | None) -> Bounded | None:
    """How well customers are put in order: AUC of churn, Spearman's of value."""
    if isinstance(figures, ChurnFigures):
        return figures.auc
    return None if figures is None else figures.rank_correlation


@dataclass(frozen=True)
class Found:
    """Everything, UTC.

    Attributes:
        as_of: what came later was not known.
        known: the data reach until then; outcomes after it are not looked for.
        last_year: the moment a year before that features were compared with as well; None where too little is known.
        models: by kind.
        scores: of the last moments, rising.
        ledger: every scored moment and whether its outcomes are known, rising.
        cohorts: those whose outcomes were looked at, rising.
    """

    project: str
    currency: str
    as_of: datetime
    known: datetime
    last_year: datetime | None
    models: Mapping[Kind, Watched]
    scores: Sequence[ScoreDrift]
    ledger: Sequence[Ripeness]
    cohorts: Sequence[Cohort]

    def newest_scores(self, kind: Kind) -> ScoreDrift | None:
        """Of the last moment that was scored, the most customers of one model."""
        mine = [one for one in self.scores if one.kind == kind]
        return max(mine, key=lambda one: (one.as_of, one.customers), default=None)

    def newest_cohort(self, kind: Kind) -> Cohort | None:
        """Of the last moment whose outcomes are known, the most customers of one model."""
        told = [one for one in self.cohorts if one.ripe.kind == kind and one.figures is not None]
        return max(told, key=lambda one: (one.ripe.as_of, one.ripe.customers), default=None)
