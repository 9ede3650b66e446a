"""Errors a person can act on: what is wrong, where, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable


class ForesightError(Exception):
    """Something failed; the message has three parts and never a customer's attributes.

    Attributes:
        what: what is wrong, one sentence.
        where: file, table, column, field or command.
        fix: what the reader can do about it.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str, fix: str) -> None:
        super().__init__(f"{what}\n  where: {where}\n  fix:   {fix}")
        self.what = what
        self.where = where
        self.fix = fix

    def __reduce__(self) -> tuple[Callable[..., ForesightError], tuple[type[ForesightError], str, str, str]]:
        """An error of a worker process is raised again in the one that waits for it."""
        return _again, (type(self), self.what, self.where, self.fix)


def _again(kind: type[ForesightError], what: str, where: str, fix: str) -> ForesightError:
    error = kind.__new__(kind)
    ForesightError.__init__(error, what, where=where, fix=fix)
    return error


class BusyError(ForesightError):
    """Another process is at the same work, and did not end in the time that was given."""


class UsageError(ForesightError):
    """The command, the configuration file or the catalogue is wrong."""

    exit_code = 2


class DataError(ForesightError):
    """The user's tables do not keep the contract of unified profiles."""


class NotEnoughDataError(DataError):
    """The tables are sound but too few for what was asked."""


class RegistryError(ForesightError):
    """A model is missing from the registry, or cannot be used."""


class NotFoundError(ForesightError):
    """The named customer, decision or snapshot does not exist."""


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """A sentence that names the nearest of ``options``, or lists them when none is near."""
    known = sorted(options)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f"Did you mean '{near[0]}'?"
    return f"Known: {', '.join(known)}." if known else "None is known here."
