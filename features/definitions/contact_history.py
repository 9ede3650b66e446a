"""How often we spoke, and whether anybody listened: fatigue. A contact is a campaign received."""

from collections.abc import Iterator

from features.definitions.engagement import count_of, newest_of
from features.engine.definition import Expression, Feature, Unit, View

_UNSUBSCRIBED = "unsubscribed"


def _per(above: str, below: str) -> Expression:
    return lambda wide: wide[above] / wide[below].nullif(0)


def _features() -> Iterator[Feature]:
    yield Feature(
        name="contacts_since_last_purchase",
        group="contact_history",
        view=View.CONTACTS,
        expression=lambda contacts: contacts.count(where=contacts.since_purchase),
        phrase="contacts since the last purchase",
        unit=Unit.COUNT,
        when_unknown=0,
    )
    yield Feature(
        name="contacts_since_last_response",
        group="contact_history",
        view=View.CONTACTS,
        expression=lambda contacts: contacts.count(where=contacts.since_response),
        phrase="contacts since a campaign was last opened, clicked or redeemed",
        unit=Unit.COUNT,
        when_unknown=0,
    )
    yield Feature(
        name="contacts_30d_to_365d",
        group="contact_history",
        view=View.FEATURES,
        expression=lambda wide: (wide.campaigns_received_30d / 30) / (wide.campaigns_received_365d / 365).nullif(0),
        phrase="times the usual pressure: contacts a day in the last 30 days against the last 365",
        unit=Unit.RATIO,
    )
    for name, above, below, words in (
        ("contacts_per_order_90d", "campaigns_received_90d", "orders_90d", "contacts per order in the last 90 days"),
        (
            "open_rate_365d",
            "campaigns_opened_365d",
            "campaigns_received_365d",
            "openings per campaign of the last 365 days",
        ),
        (
            "click_rate_365d",
            "campaigns_clicked_365d",
            "campaigns_received_365d",
            "clicks per campaign of the last 365 days",
        ),
    ):
        yield Feature(
            name=name,
            group="contact_history",
            view=View.FEATURES,
            expression=_per(above, below),
            phrase=words,
            unit=Unit.RATIO,
        )
    yield Feature(
        name="times_unsubscribed",
        group="contact_history",
        view=View.ACTIVITIES,
        expression=count_of(_UNSUBSCRIBED),
        phrase="times unsubscribed so far",
        unit=Unit.COUNT,
        when_unknown=0,
    )
    yield Feature(
        name="days_since_unsubscribed",
        group="contact_history",
        view=View.ACTIVITIES,
        expression=newest_of(_UNSUBSCRIBED),
        phrase="days since the customer unsubscribed",
        unit=Unit.DAYS,
    )


FEATURES = tuple(_features())
