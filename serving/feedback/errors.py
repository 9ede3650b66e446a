"""What can be wrong with feedback, and with the place where it is kept."""

from __future__ import annotations

from kernel.errors import ForesightError, NotFoundError

_KEPT = "The event is kept in quarantine."


class UnknownDecisionError(NotFoundError):
    """Feedback names a decision that was never logged."""

    def __init__(self) -> None:
        super().__init__(
            "No decision has this decision_id.",
            where="feedback: decision_id",
            fix=f"Send the decision_id that /v1/recommendations answered. {_KEPT}",
        )


class UnknownActionError(ForesightError):
    """Feedback names an action that the decision did not consider."""

    def __init__(self) -> None:
        super().__init__(
            "The decision has no such action.",
            where="feedback: action",
            fix=f"Send an action of that decision. {_KEPT}",
        )


class EventConflictError(ForesightError):
    """An event id is used again for something else."""

    def __init__(self) -> None:
        super().__init__(
            "This event_id already stands for another event.",
            where="feedback: event_id",
            fix=f"Give every event its own event_id. {_KEPT}",
        )


class StoreUnavailableError(ForesightError):
    """The database of decisions does not answer; nothing was acknowledged."""

    def __init__(self) -> None:
        super().__init__(
            "The store of decisions and feedback does not answer.",
            where="feedback store",
            fix="Try again; the same ids are safe to send twice.",
        )


class StoreFullError(StoreUnavailableError):
    """There is no room for another decision; nothing was acknowledged."""

    def __init__(self) -> None:
        ForesightError.__init__(
            self,
            "The disk of the store of decisions and feedback is full.",
            where="feedback store",
            fix="Make room there, then try again; the same ids are safe to send twice.",
        )


def unavailable(error: BaseException) -> StoreUnavailableError:
    """What is told of a driver's error."""
    full = getattr(error, "sqlite_errorname", "") == "SQLITE_FULL" or getattr(error, "sqlstate", "") == "53100"
    return StoreFullError() if full else StoreUnavailableError()
