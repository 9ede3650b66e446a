"""Which features tell the behaviours that a team can act on."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kernel.artefacts import FeatureColumn
from kernel.behaviours import Behaviour, levels
from kernel.part import Floats


@dataclass(frozen=True, slots=True)
class Told:
    """Features that rise together with a behaviour, and those that fall with it, as patterns of whole names.

    Attributes:
        leads: the feature that tells it: the first of these that the model has.
        more: whether a team would have more of it, or less.
    """

    name: str
    leads: tuple[str, ...]
    rising: str
    falling: str = ""
    more: bool = True


BEHAVIOURS = (
    Told(
        "purchases",
        ("orders_30d", "orders_60d", "orders_90d"),
        r"(orders|purchase_days|spend)_\d+d|decayed_spend_\d+d|weeks_with_purchase_84d",
        r"days_since_last_purchase|days_overdue|overdue_\w+",
    ),
    Told("variety", ("categories_90d", "products_90d"), r"(categories|products)_\d+d|new_(categories|products)_90d"),
    Told(
        "reactions",
        ("campaigns_opened_90d", "campaigns_clicked_90d", "coupons_redeemed_90d"),
        r"(campaigns_opened|campaigns_clicked|coupons_redeemed)_\d+d|(open|click)_rate_365d",
        r"days_since_last_(open|click|redemption)|contacts_since_last_response",
    ),
    Told(
        "visits",
        ("visits_30d", "logins_30d"),
        r"(visits|logins)_\d+d",
        r"days_since_last_(visit|login)",
    ),
    Told(
        "contacts",
        ("campaigns_received_30d",),
        r"campaigns_received_\d+d|contacts_since_last_purchase|contacts_per_order_90d",
        more=False,
    ),
    Told(
        "complaints",
        ("complaints_90d", "support_cases_90d"),
        r"(complaints|support_cases)_\d+d",
        r"days_since_last_(complaint|support_case)",
        more=False,
    ),
    Told(
        "returns",
        ("returned_amount_90d", "returned_lines_90d"),
        r"returned_(amount|lines)_\d+d|return_orders_share_365d",
        more=False,
    ),
    Told("failed_payments", ("payments_failed_90d",), r"payments_failed_\d+d", more=False),
)


def behaviours(columns: tuple[FeatureColumn, ...], population: Floats) -> tuple[Behaviour, ...]:
    """The behaviours that the model's features tell.

    Args:
        population: the model's inputs of all customers whose churn is predicted, shape (rows, columns).
    """
    place = {column.name: i for i, column in enumerate(columns) if column.categories is None}
    found: list[Behaviour] = []
    for one in BEHAVIOURS:
        lead = next((place[name] for name in one.leads if name in place), None)
        if lead is None:
            continue
        steps = {
            i: levels(population[:, i], falling=bool(re.fullmatch(one.falling, name)))
            for name, i in place.items()
            if re.fullmatch(one.rising, name) or re.fullmatch(one.falling, name)
        }
        known = {i: values for i, values in steps.items() if values is not None}
        if lead in known:
            found.append(
                Behaviour(name=one.name, lead=lead, columns=tuple(known), levels=tuple(known.values()), more=one.more)
            )
    return tuple(found)
