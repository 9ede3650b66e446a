"""What a feature is: one object that says everything about itself."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from kernel.errors import UsageError


class Unit(StrEnum):
    """What a feature's number counts; it decides how the number is written for a person."""

    DAYS = "days"
    MONEY = "money"
    COUNT = "count"
    SHARE = "share"
    RATIO = "ratio"
    WORD = "word"


class View(StrEnum):
    """The rows a feature aggregates; each is built by the engine from rows known at ``as_of`` and in the window.

    None of them has a moment in time: ``days_ago`` (exact) and ``day_ago`` (local calendar days, 0 = the last day
    before ``as_of``) are all that a definition can see, so that it cannot look past ``as_of``.
    """

    # order lines: transaction_id, amount, discount, quantity, product_id, category, channel
    LINES = "lines"
    # amount, discount, quantity, lines, returned_lines, products, categories, weekday (0 = Monday), hour
    ORDERS = "orders"
    # days with a purchase: day_ago, amount, orders, channel and least_channel (the same: its only one)
    DAYS = "days"
    # days between successive purchase days: gap_days, rank (1 = newest), switched (another channel than before)
    GAPS = "gaps"
    # what was bought of each category, product, channel: amount, lines, first_days_ago, days_ago (the newest)
    CATEGORIES = "categories"
    PRODUCTS = "products"
    CHANNELS = "channels"
    # kind, value, detail, sentiment
    ACTIVITIES = "activities"
    # campaigns received: detail, since_purchase (no purchase came after it), since_response (nor a response)
    CONTACTS = "contacts"
    # days with an activity that has a sentiment: day_ago, lowest
    SENTIMENTS = "sentiments"
    # newest known version of each contract: plan, amount, monthly_amount, first_monthly_amount, recurrence_months,
    # is_recurring, started_days_ago, ends_in_days (missing while open; negative once ended), renews_in_days,
    # is_active, was_open (an older version, or this one, had no end), versions, first_days_ago, plan_changes,
    # plan_changed_days_ago
    SUBSCRIPTIONS = "subscriptions"
    # order lines of all customers of the customer's account: buyer, transaction_id, amount
    ACCOUNT_LINES = "account lines"
    # created_days_ago and the project's attributes; not aggregated
    CUSTOMERS = "customers"
    # the columns above; not aggregated: ratios and differences
    FEATURES = "features"


# Ibis finds a column's methods from the schema, at run time: statically every row and value would be refused.
Rows = Any
Value = Any
Expression = Callable[[Rows], Value]


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature of a customer as of a moment.

    Attributes:
        name: column name, unique.
        group: what people would call the family, also the name of its file.
        view: the rows it aggregates.
        expression: from the view to an aggregate (for CUSTOMERS and FEATURES: to a column).
        phrase: the rest of a sentence that begins with the value: "days since the last purchase".
        unit: what the number counts.
        window_days: only rows at most this many days old (``as_of`` itself is exclusive); None for the whole history.
        when_unknown: the value where the customer has no such rows; None for "missing".
        owner, version: the version rises when the meaning changes.
        usual: the feature that says this customer's own usual level of the same thing, in the same unit.
    """

    name: str
    group: str
    view: View
    expression: Expression
    phrase: str
    unit: Unit
    window_days: int | None = None
    when_unknown: float | None = None
    owner: str = "foresight"
    version: int = 1
    usual: str | None = None

    @property
    def is_word(self) -> bool:
        """True for a categorical column of words, False for a number."""
        return self.unit is Unit.WORD


class FeatureSet(tuple[Feature, ...]):
    """The features of a project, in order; names are unique."""

    __slots__ = ()

    def __new__(cls, features: Iterable[Feature]) -> FeatureSet:
        """Raise UsageError where two features share a name."""
        made = super().__new__(cls, features)
        names = [feature.name for feature in made]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UsageError(
                f"Two features are called '{twice[0]}'.", where="features/definitions", fix="Give one another name."
            )
        return made

    @property
    def names(self) -> list[str]:
        """Column names, in order."""
        return [feature.name for feature in self]

    @property
    def words(self) -> list[str]:
        """Names of the categorical columns."""
        return [feature.name for feature in self if feature.is_word]

    @property
    def views(self) -> frozenset[View]:
        """The views that they look at."""
        return frozenset(feature.view for feature in self)

    def only(self, names: Container[str]) -> FeatureSet:
        """Those with one of these names, in the order of this set."""
        return FeatureSet(feature for feature in self if feature.name in names)

    def named(self, name: str) -> Feature:
        """The feature of that name (KeyError when there is none)."""
        return {feature.name: feature for feature in self}[name]
