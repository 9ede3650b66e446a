"""The customer's account (a company, a household): what all its customers buy, and the customer's own part of it.

A customer without an account has none of these.
"""

from collections.abc import Iterator

from features.engine.definition import Expression, Feature, Unit, View


def _share(days: int) -> Expression:
    return lambda wide: wide[f"spend_{days}d"] / wide[f"account_spend_{days}d"].nullif(0)


def _roll_ups() -> Iterator[Feature]:
    for days in (30, 90, 365):
        last = f"in the last {days} days"
        yield Feature(
            name=f"account_spend_{days}d",
            group="accounts",
            view=View.ACCOUNT_LINES,
            window_days=days,
            expression=lambda lines: lines.amount.sum(),
            phrase=f"spent by the whole account {last}",
            unit=Unit.MONEY,
        )
        yield Feature(
            name=f"account_orders_{days}d",
            group="accounts",
            view=View.ACCOUNT_LINES,
            window_days=days,
            expression=lambda lines: lines.transaction_id.nunique(where=lines.amount > 0),
            phrase=f"orders of the whole account {last}",
            unit=Unit.COUNT,
        )
    for days in (90, 365):
        yield Feature(
            name=f"account_buyers_{days}d",
            group="accounts",
            view=View.ACCOUNT_LINES,
            window_days=days,
            expression=lambda lines: lines.buyer.nunique(where=lines.amount > 0),
            phrase=f"customers of the account bought in the last {days} days",
            unit=Unit.COUNT,
        )
    yield Feature(
        name="days_since_account_purchase",
        group="accounts",
        view=View.ACCOUNT_LINES,
        expression=lambda lines: lines.days_ago.min(where=lines.amount > 0),
        phrase="days since the last purchase of anybody in the account",
        unit=Unit.DAYS,
    )


def _own_part() -> Iterator[Feature]:
    # Net of returns, so that a part may be negative, or more than the whole.
    for days in (90, 365):
        yield Feature(
            name=f"share_of_account_spend_{days}d",
            group="accounts",
            view=View.FEATURES,
            expression=_share(days),
            phrase=f"of each 1 that the account spent in the last {days} days is the customer's own",
            unit=Unit.RATIO,
        )
    yield Feature(
        name="account_spend_30d_to_90d",
        group="accounts",
        view=View.FEATURES,
        expression=lambda wide: (wide.account_spend_30d / 30) / (wide.account_spend_90d / 90).nullif(0),
        phrase="times the account's usual pace: spend a day in the last 30 days against the last 90",
        unit=Unit.RATIO,
    )


FEATURES = (*_roll_ups(), *_own_part())
