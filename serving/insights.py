"""What the HTTP side needs from the models: scores and decisions by id or for a whole profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from kernel.errors import ForesightError
from kernel.record import record
from kernel.types import LowerBand, Score

if TYPE_CHECKING:
    from serving.decisioning.decision import Decision
    from serving.schemas import EventsInput, ProfileInput
    from serving.what_if import WhatIf


@dataclass(frozen=True, slots=True)
class ModelVersions:
    """What answers, as ``name/version``; ``policy`` is the version of the rules that choose actions."""

    churn_model: str
    value_model: str
    policy: str


@record
class Insight:
    """One customer's score, and what to do.

    Attributes:
        score: of the customer.
        decision: None where nothing may be decided.
        what_if: whether features were replaced: then neither is the customer's.
    """

    score: Score
    decision: Decision | None
    what_if: bool = False


class ModelsUnavailableError(ForesightError):
    """There is nothing to answer with yet."""

    def __init__(self) -> None:
        super().__init__(
            "The service has no models yet.",
            where="model registry",
            fix="Try again; GET /readyz says what it waits for.",
        )


class InsightSource(Protocol):
    """Answers for stored customers and for profiles. Every method must be safe to call from several threads at once:
    the service scores batches beside single customers."""

    @property
    def project(self) -> str:
        """The project's name."""
        ...

    @property
    def currency(self) -> str:
        """ISO 4217."""
        ...

    @property
    def horizon_days(self) -> int:
        """Days that the lifetime value covers."""
        ...

    @property
    def churn_horizon_days(self) -> int:
        """Days ahead in which a churner does not purchase."""
        ...

    @property
    def churn_bands(self) -> tuple[float, float]:
        """The percentiles at which the medium and the high churn band begin."""
        ...

    @property
    def value_shown_months(self) -> int:
        """The longest of the value's horizons that outcomes could be compared with, in months; 0 for none."""
        ...

    @property
    def as_of(self) -> datetime:
        """The moment of knowledge of stored customers."""
        ...

    def versions(self) -> ModelVersions:
        """The models and the policy that answer now."""
        ...

    def models_as_of(self) -> Mapping[str, datetime]:
        """Kind of model -> the moment of knowledge that it was trained with."""
        ...

    def by_ids(self, customer_ids: Sequence[str]) -> list[Insight]:
        """One insight for each id, in the same order.

        Raises:
            NotFoundError: names how many of the ids are unknown.
        """
        ...

    def with_changes(self, customer_id: str) -> tuple[Insight, list[LowerBand]]:
        """The insight of a stored customer, and what would bring it into a lower churn band, the nearest first.

        Raises:
            NotFoundError: an unknown id.
        """
        ...

    def by_what_if(self, customer_id: str, what_if: WhatIf) -> Insight:
        """The insight of a stored customer if some features were others.

        Raises:
            NotFoundError: an unknown id.
            WhatIfError: an unknown feature, or a value that it cannot have.
        """
        ...

    def by_events(self, customer_id: str, events: EventsInput, what_if: WhatIf | None = None) -> Insight:
        """The insight of a stored customer with new events.

        Raises:
            NotFoundError: an unknown id.
            NoHistoryError: the customer's history is not stored.
            EventsError: an event is still to come.
            WhatIfError: as in ``by_what_if``.
        """
        ...

    def by_profile(self, profile: ProfileInput, what_if: WhatIf | None = None) -> Insight:
        """The insight of a profile that is not stored, by the same definitions; ``what_if``: if some features were
        others."""
        ...
