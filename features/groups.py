"""What people would call the groups of features."""

from __future__ import annotations

LABELS = {
    "rfm": "Recency, frequency and spend",
    "tenure": "Time as a customer",
    "trend": "Recent purchases",
    "change": "Change of purchases",
    "rhythm": "Purchase rhythm",
    "seasonality": "Season and weekdays",
    "baskets": "Baskets and prices",
    "variety": "Variety",
    "returns": "Returns",
    "channels": "Channels",
    "engagement": "Reactions and visits",
    "contact_history": "Contacts",
    "support": "Support and sentiment",
    "subscriptions": "Subscriptions",
    "accounts": "The account",
    "attributes": "Customer data",
}


def group_label(name: str) -> str:
    """The group in English; one of the project's own by its name."""
    return LABELS.get(name, name.replace("_", " ").capitalize())
