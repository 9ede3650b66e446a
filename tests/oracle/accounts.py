"""What all customers of the customer's account buy."""

from __future__ import annotations

from datetime import datetime

from tests.histories import Line
from tests.oracle.activities import days_since
from tests.oracle.rows import Values, different, number, ratio, total, younger


def account(lines: list[Line], as_of: datetime, values: Values) -> Values:
    found: Values = {"days_since_account_purchase": days_since([line for line in lines if line.amount > 0], as_of)}
    for days in (30, 90, 365):
        within = younger(lines, as_of, days)
        bought = [line for line in within if line.amount > 0]
        found[f"account_spend_{days}d"] = float(total(line.amount for line in within)) if within else None
        orders = different(line.transaction_id for line in bought)
        found[f"account_orders_{days}d"] = float(len(orders)) if within else None
        if days > 30:
            buyers = different(line.customer_id for line in bought)
            found[f"account_buyers_{days}d"] = float(len(buyers)) if within else None
            own = number(values, f"spend_{days}d")
            found[f"share_of_account_spend_{days}d"] = ratio(own, number(found, f"account_spend_{days}d"))
    now, usual = number(found, "account_spend_30d"), number(found, "account_spend_90d")
    found["account_spend_30d_to_90d"] = None if now is None or usual is None else ratio(now / 30, usual / 90)
    return found
