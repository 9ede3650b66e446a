"""Expected spend over every horizon, P(alive), expected purchases and the next order, from a stored model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import lightgbm as lgb
import numpy as np

from kernel.artefacts import (
    Floats,
    Similar,
    ValueManifest,
    read_manifest,
    write_manifest,
)
from kernel.btyd import GammaGamma
from kernel.errors import RegistryError
from kernel.feature_rows import Features, rows_of
from kernel.purchases import PurchaseModel, outlook
from kernel.sbg import Sbg
from kernel.segment import SegmentValue, segment_value
from kernel.trees import predicted

HORIZON_MONTHS = (1, 3, 6, 12, 24)
MONTH_DAYS = 30.4375  # of the mean month
NEWCOMER_DAYS = 14
"""So long after the first purchase next to nothing is known of a customer."""
_DAYS_PER_YEAR = 365.25
_LEAST = 0.01  # of an expectation: the logarithm of a pace is an offset of the trees


@dataclass(frozen=True)
class HorizonSpend:
    """Expected net spend over a horizon of so many months and where one customer's lies, each shape (rows,)."""

    months: int
    expected: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class ValueNumbers:
    """Everything predicted for customers, each array of shape (rows,); money in the project's currency.

    Attributes:
        expected_spend: over the learnt horizon; ``low`` and ``high``: where one customer's lies.
        horizons: the same over other horizons.
        discounted: expected spend over the longest of them, at today's worth.
        probability_alive, expected_purchases: NaN without a purchase.
        expected_order_value: on a purchase day to come, net of the usual returns.
        next_order_days: until the next purchase, if the customer still buys: half of such customers come by then.
        order_overdue_days: days since the last purchase beyond those that half of such customers took; 0 at least.
        margin: the share of ``expected_spend`` that is profit; NaN where no margin is set.
        percentile: rank of ``expected_spend``, 0-100.
    """

    expected_spend: Floats
    low: Floats
    high: Floats
    horizons: tuple[HorizonSpend, ...]
    discounted: Floats
    probability_alive: Floats
    expected_purchases: Floats
    expected_order_value: Floats
    next_order_days: Floats
    order_overdue_days: Floats
    margin: Floats
    percentile: Floats

    def columns(self) -> dict[str, Floats]:
        """The same under the names of the scores file (docs/reference/scores.md)."""
        by_horizon: dict[str, Floats] = {}
        for one in self.horizons:
            name = f"value_{one.months}m"
            by_horizon |= {name: one.expected, f"{name}_low": one.low, f"{name}_high": one.high}
        return {
            "lifetime_value": self.expected_spend,
            "lifetime_value_low": self.low,
            "lifetime_value_high": self.high,
            "value_percentile": self.percentile,
            **by_horizon,
            "value_discounted": self.discounted,
            "value_margin": self.margin,
            "probability_alive": self.probability_alive,
            "expected_purchases": self.expected_purchases,
            "expected_order_value": self.expected_order_value,
            "next_order_days": self.next_order_days,
            "order_overdue_days": self.order_overdue_days,
        }


@dataclass(frozen=True)
class History:
    """The histories of the customers with a purchase, by the models of buying behaviour.

    Attributes:
        known: who has one, shape (rows,), bool.
        alive, wait_days, usual_wait_days: see ``kernel.purchases.Outlook``; the last as of the last purchase.
        purchases: expected purchase days, shape (rows, horizons).
        order_value: expected on a purchase day, net of the usual returns.
    """

    known: np.ndarray
    alive: Floats
    purchases: Floats
    wait_days: Floats
    usual_wait_days: Floats
    order_value: Floats

    def course(self, straight: Floats) -> Floats:
        """Purchases in each horizon after the first over those in the first, shape (rows, horizons - 1); where none are
        known or expected ``straight``, of shape (horizons - 1,)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            course = self.purchases[:, 1:] / self.purchases[:, :1]
        return np.where(np.isfinite(course), course, straight)


@dataclass(frozen=True)
class ValuePredictor:
    """Boosted trees over what BTYD and the current pace of spend foretell, or BTYD alone, whichever the back-test
    chose. ``boosters`` holds those that the choice needs, by name."""

    manifest: ValueManifest
    boosters: dict[str, lgb.Booster]

    @classmethod
    def load(cls, folder: Path) -> ValuePredictor:
        """Read a model's folder. Raises RegistryError when it is none."""
        manifest = read_manifest(folder, ValueManifest)
        files = {name: folder / f"{name}.txt" for name in needed_boosters(manifest.spend_model)}
        for name, file in files.items():
            if not file.exists():
                raise RegistryError(
                    f"The model's file '{name}.txt' is missing.", where=str(folder), fix="Train the model again."
                )
        try:
            return cls(manifest, {name: lgb.Booster(model_file=str(file)) for name, file in files.items()})
        except lgb.basic.LightGBMError as error:
            raise RegistryError(
                "The model's trees cannot be read.", where=str(folder), fix="Train the model again."
            ) from error

    def save(self, folder: Path) -> None:
        """Write the model's native files."""
        for name, booster in self.boosters.items():
            booster.save_model(str(folder / f"{name}.txt"))
        write_manifest(folder, self.manifest)

    def expected_spend(self, features: Features) -> Floats:
        """Expected net spend over the learnt horizon, shape (rows,), in the project's currency."""
        return self._spend(features, self.history(features, [self.manifest.horizon_days]))

    def numbers(self, features: Features) -> ValueNumbers:
        """Everything predicted for each row."""
        manifest = self.manifest
        history = self.history(features, [manifest.horizon_days, *(one.days for one in manifest.horizons)])
        expected = self._spend(features, history)
        low, high = self.interval(expected, features)
        horizons = tuple(self._horizons(expected, history))
        since = _column(features, "days_since_last_purchase")
        return ValueNumbers(
            expected_spend=expected,
            low=low,
            high=high,
            horizons=horizons,
            discounted=self._discounted(horizons, len(features)),
            probability_alive=history.alive,
            expected_purchases=history.purchases[:, 0],
            expected_order_value=history.order_value,
            next_order_days=history.wait_days,
            order_overdue_days=np.maximum(since - history.usual_wait_days, 0.0),
            margin=expected * (np.nan if manifest.margin is None else manifest.margin),
            percentile=self.percentile(expected),
        )

    def interval(self, expected_spend: Floats, features: Features) -> tuple[Floats, Floats]:
        """Where the actual spend of a customer with such an expectation lies; the bounds always enclose it."""
        low, high = _bounds(self.manifest.intervals, expected_spend)
        new = _column(features, "T_days") <= NEWCOMER_DAYS
        if self.manifest.newcomers is not None and new.any():
            of_new = _bounds(self.manifest.newcomers, expected_spend)
            low = np.where(new, np.minimum(low, of_new[0]), low)
            high = np.where(new, np.maximum(high, of_new[1]), high)
        return low, high

    def percentile(self, expected_spend: Floats) -> Floats:
        """Rank of an expected spend within the population scored at training, 0-100."""
        return self.manifest.percentile(expected_spend)

    def is_high_value(self, expected_spend: Floats) -> np.ndarray:
        """Whether the customer is among those of highest value, shape (rows,), bool."""
        return expected_spend >= self.manifest.high_value_from

    def total(self, expected_spend: Floats) -> SegmentValue:
        """Expected total of a segment, and where the actual one lies: less wide than the sum of the bounds of each."""
        return segment_value(expected_spend, self.manifest.sums)

    def probability_alive(self, features: Features) -> Floats:
        """Probability that the customer still buys, shape (rows,); NaN without a purchase."""
        return self.history(features, [0.0]).alive

    def prior_purchases(self) -> float:
        """Expected purchase days over the horizon of a customer of whom nothing is known but the first purchase."""
        return self._purchases.population(self.manifest.horizon_days)

    def spend_btyd(self, features: Features) -> Floats:
        """Expected purchases x expected order value, net of the usual returns; 0 without a purchase."""
        return _by_btyd(self.history(features, [self.manifest.horizon_days]))

    def history(self, features: Features, horizons_days: Sequence[float]) -> History:
        """What the models of buying behaviour say of each row; NaN without a purchase."""
        x, t_x, T = (_column(features, name) for name in ("frequency", "recency_days", "T_days"))
        known = np.isfinite(t_x) & np.isfinite(T)
        alive, wait, usual = (np.full(len(features), np.nan) for _ in range(3))
        purchases = np.full((len(features), len(horizons_days)), np.nan)
        if known.any():
            model = self._purchases
            found = outlook(model, horizons_days, x[known], t_x[known], T[known])
            alive[known], purchases[known], wait[known] = found.alive, found.purchases, found.wait_days
            usual[known] = model.median_wait_days(x[known], t_x[known])
        history = History(known, alive, purchases, wait, usual, self._order_value(features, x))
        return history if self.manifest.contracts is None else self._with_contracts(history, features, horizons_days)

    def _with_contracts(self, history: History, features: Features, horizons_days: Sequence[float]) -> History:
        """Who has a running contract is a customer, and pays until it ends."""
        assert self.manifest.contracts is not None
        contracts = Sbg(**self.manifest.contracts.model_dump())
        age = _column(features, "subscription_age_days")
        running = np.isfinite(age) & (_column(features, "active_subscriptions") > 0)
        if not running.any():
            return history
        renewals = np.floor(np.maximum(age[running], 0.0) / contracts.days_per_period)
        alive, purchases = history.alive.copy(), history.purchases.copy()
        alive[running] = 1.0
        payments = [contracts.expected_payments(days, renewals) for days in horizons_days]
        purchases[running] = np.column_stack(payments)
        return replace(history, known=history.known | running, alive=alive, purchases=purchases)

    def _order_value(self, features: Features, frequency: Floats) -> Floats:
        values, monetary = self.manifest.order_values, _column(features, "monetary_value")
        usable = (frequency > 0) & (monetary > 0)
        x = np.where(usable, frequency, 0.0)
        factor = order_value_factor(_or_none(frequency), values.slope, values.usual)
        usual = np.where(usable, monetary / factor, 0.0)
        expected = self._order_values.expected_order_value(x, usual)
        return self.manifest.net_share * factor * expected

    def _spend(self, features: Features, history: History) -> Floats:
        btyd, chosen = _by_btyd(history), self.manifest.spend_model
        if chosen == "btyd":
            return self.manifest.scale * btyd
        matrix = self.manifest.inputs.matrix(rows_of(features))
        pace = spend_at_pace(features, btyd, self.manifest.pace_weights, self.manifest.horizon_days)
        change = self.boosters["trees" if chosen == "trees" else "spend"]
        expected = pace * np.exp(predicted(change, matrix, "raw"))
        if chosen == "two_part":
            expected *= predicted(self.boosters["buy"], matrix, "response")
        return self.manifest.scale * expected

    def _horizons(self, expected: Floats, history: History) -> list[HorizonSpend]:
        """The learnt horizon's spend, carried along each customer's own curve of purchases."""
        horizons = self.manifest.horizons
        if not horizons:
            return []
        straight, level = np.array([(one.days / self.manifest.horizon_days, one.level) for one in horizons]).T
        spend = expected[:, None] * history.course(straight) * level
        np.maximum.accumulate(np.maximum(spend, 0.0), axis=1, out=spend)  # more time never brings less
        each = zip(horizons, np.ascontiguousarray(spend.T), strict=True)
        return [HorizonSpend(one.months, spend, *_bounds(one.intervals, spend)) for one, spend in each]

    def _discounted(self, horizons: Sequence[HorizonSpend], rows: int) -> Floats:
        """Today's worth of what comes between one horizon and the next, as if all of it came in the middle."""
        total, before, day = np.zeros(rows), np.zeros(rows), 0
        for one, spend in zip(self.manifest.horizons, horizons, strict=True):
            middle = (day + one.days) / 2 / _DAYS_PER_YEAR
            total = total + (spend.expected - before) / (1 + self.manifest.discount_rate) ** middle
            before, day = spend.expected, one.days
        return total

    @cached_property
    def _order_values(self) -> GammaGamma:
        of = self.manifest.order_values
        return GammaGamma(of.p, of.q, of.v)

    @cached_property
    def _purchases(self) -> PurchaseModel:
        return self.manifest.purchases.model()


def needed_boosters(spend_model: str) -> tuple[str, ...]:
    """The boosters of a spend model."""
    return {"trees": ("trees",), "two_part": ("buy", "spend"), "btyd": ()}[spend_model]


def order_value_factor(frequency: Floats, slope: float, usual: float) -> Floats:
    """By how much the values of customers of such a frequency lie above the usual one's, shape (rows,)."""
    return ((1.0 + frequency) / usual) ** slope


def current_pace(features: Features) -> dict[str, Floats]:
    """Spend a day at several memories, each shape (rows,), never below 0: what comes if nothing changes."""
    tenure = _or_none(_column(features, "T_days"))
    paces = {
        "spend_30d": _column(features, "spend_30d") / 30,
        "spend_90d": _column(features, "spend_90d") / 90,
        # A week more than the tenure: a customer of yesterday has no daily rate yet.
        "spend_365d": _column(features, "spend_365d") / np.minimum(tenure + 7, 365),
        "net_spend": _column(features, "net_spend") / (tenure + 14),
    }
    return {name: np.maximum(pace, 0) for name, pace in paces.items()}


def all_paces(features: Features, btyd: Floats, horizon_days: int) -> dict[str, Floats]:
    """Spend over the horizon by each pace, by BTYD, and one currency unit, each shape (rows,)."""
    paces = {name: horizon_days * pace for name, pace in current_pace(features).items()}
    return paces | {"btyd": btyd, "constant": np.ones(len(features))}


def spend_at_pace(features: Features, btyd: Floats, weights: dict[str, float], horizon_days: int) -> Floats:
    """Expected spend over the horizon if nothing changes, shape (rows,), at least 1 % of a currency unit."""
    paces = all_paces(features, btyd, horizon_days)
    total = sum((weights[name] * paces[name] for name in weights), np.zeros(len(features)))
    return np.maximum(total, _LEAST)


def _by_btyd(history: History) -> Floats:
    return _or_none(history.purchases[:, 0]) * history.order_value


def _or_none(values: Floats) -> Floats:
    # numpy's nan_to_num looks for infinities besides, which takes one customer longer than the sum.
    return np.where(np.isnan(values), 0.0, values)


def _bounds(intervals: Similar, expected: Floats) -> tuple[Floats, Floats]:
    low, high = intervals.bounds(expected)
    return np.minimum(low, 1) * expected, np.maximum(high, 1) * expected


def _column(features: Features, name: str) -> Floats:
    return rows_of(features).number(name)
