"""How many customers of a snapshot may get an action."""

from __future__ import annotations

from kernel.types import Status
from serving.decisioning.columns import Columns
from serving.decisioning.offer import make_offers
from serving.runtime import Runtime, required


def eligible_customers(runtime: Runtime, action: str) -> int:
    """Customers who may be profiled and pass the action's rules as of the snapshot.

    Args:
        action: its id in the catalogue.

    Raises:
        UsageError: the project has no catalogue.
    """
    catalogue = required(runtime.catalogue)
    count = 0
    for _, frame in runtime.frames():
        allowed = (frame["status"].astype(object) != Status.NO_CONSENT.value).to_numpy(bool)
        offers = make_offers(catalogue, {}, runtime.as_of.date(), Columns(frame))
        wanted = [one.id == action for one in offers.actions]
        count += int((offers.eligible[:, wanted] & allowed[:, None]).sum())
    return count
