"""Activities: what the customer does besides buying, how often we spoke, cases and moods."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from tests.histories import Deed, Line
from tests.oracle.rows import Values, as_days, day_of, different, number, ratio, younger

_COUNTED = {
    "campaigns_received": ("campaign_received", (7, 30, 90, 365)),
    "campaigns_opened": ("campaign_opened", (90, 365)),
    "campaigns_clicked": ("campaign_clicked", (90, 365)),
    "coupons_redeemed": ("coupon_redeemed", (30, 90, 365)),
    "visits": ("visit", (7, 30, 90)),
    "logins": ("login", (7, 30, 90)),
}
_NEWEST = {
    "days_since_last_campaign": "campaign_received",
    "days_since_last_open": "campaign_opened",
    "days_since_last_click": "campaign_clicked",
    "days_since_last_redemption": "coupon_redeemed",
    "days_since_last_visit": "visit",
    "days_since_last_login": "login",
}


def of_kind(deeds: list[Deed], kind: str) -> list[Deed]:
    return [deed for deed in deeds if deed.kind == kind]


def days_since(rows: list[Deed] | list[Line], as_of: datetime) -> float | None:
    return as_days(as_of - max(row.event_time for row in rows)) if rows else None


def counts(name: str, deeds: list[Deed], as_of: datetime, windows: tuple[int, ...]) -> Values:
    return {f"{name}_{days}d": float(len(younger(deeds, as_of, days))) for days in windows}


def engagement(deeds: list[Deed], as_of: datetime, zone: ZoneInfo) -> Values:
    found: Values = {"days_since_last_activity": days_since(deeds, as_of)}
    for name, (kind, windows) in _COUNTED.items():
        found |= counts(name, of_kind(deeds, kind), as_of, windows)
    for name, kind in _NEWEST.items():
        found[name] = days_since(of_kind(deeds, kind), as_of)
    found |= counts("activities", deeds, as_of, (30, 90))
    found["activity_days_90d"] = float(len({day_of(deed, zone) for deed in younger(deeds, as_of, 90)}))
    now, before = len(younger(deeds, as_of, 30)), len(younger(deeds, as_of, 90))
    found["activities_30d_to_90d"] = ratio(now / 30, before / 90)
    received = younger(of_kind(deeds, "campaign_received"), as_of, 365)
    found["campaign_types_365d"] = float(len(different(deed.detail for deed in received)))
    found["redemptions_per_campaign_365d"] = ratio(number(found, "coupons_redeemed_365d"), len(received))
    return found


def contacts(lines: list[Line], deeds: list[Deed], as_of: datetime, values: Values) -> Values:
    received = of_kind(deeds, "campaign_received")
    purchases = [line.event_time for line in lines if line.amount > 0]
    responses = [
        deed.event_time for deed in deeds if deed.kind in ("campaign_opened", "campaign_clicked", "coupon_redeemed")
    ]
    gone = of_kind(deeds, "unsubscribed")
    per_day_30, per_day_365 = (len(younger(received, as_of, days)) / days for days in (30, 365))
    sent_365 = number(values, "campaigns_received_365d")
    return {
        "contacts_since_last_purchase": _after(received, purchases),
        "contacts_since_last_response": _after(received, responses),
        "contacts_30d_to_365d": ratio(per_day_30, per_day_365),
        "contacts_per_order_90d": ratio(number(values, "campaigns_received_90d"), number(values, "orders_90d")),
        "open_rate_365d": ratio(number(values, "campaigns_opened_365d"), sent_365),
        "click_rate_365d": ratio(number(values, "campaigns_clicked_365d"), sent_365),
        "times_unsubscribed": float(len(gone)),
        "days_since_unsubscribed": days_since(gone, as_of),
    }


def _after(received: list[Deed], moments: list[datetime]) -> float:
    return float(sum(not moments or deed.event_time > max(moments) for deed in received))


def support(deeds: list[Deed], as_of: datetime, zone: ZoneInfo) -> Values:
    found: Values = {}
    for name, kind, since in (
        ("support_cases", "support_case", "days_since_last_support_case"),
        ("complaints", "complaint", "days_since_last_complaint"),
    ):
        found |= counts(name, of_kind(deeds, kind), as_of, (30, 90, 365))
        found[since] = days_since(of_kind(deeds, kind), as_of)
    for days in (90, 365):
        moods = [deed.sentiment for deed in younger(deeds, as_of, days) if deed.sentiment is not None]
        found[f"mean_sentiment_{days}d"] = ratio(sum(moods), len(moods))
    year = [deed.sentiment for deed in younger(deeds, as_of, 365) if deed.sentiment is not None]
    found["lowest_sentiment_365d"] = min(year, default=None)
    found["negative_share_365d"] = ratio(sum(mood < 0 for mood in year), len(year))
    now, usual = number(found, "mean_sentiment_90d"), number(found, "mean_sentiment_365d")
    found["sentiment_change_90d"] = None if now is None or usual is None else now - usual
    felt = [(day_of(deed, zone), deed.sentiment) for deed in deeds if deed.sentiment is not None]
    newest = max((day for day, _ in felt), default=None)
    found["last_sentiment"] = min((mood for day, mood in felt if day == newest), default=None)
    reviews = younger(of_kind(deeds, "review"), as_of, 365)
    marks = [deed.value for deed in reviews if deed.value is not None]
    found["reviews_365d"] = float(len(reviews))
    found["mean_review_365d"] = ratio(sum(marks), len(marks))
    return found
