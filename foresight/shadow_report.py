"""How far a challenger agrees with the champion on the customers that the service was asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
from rich.console import RenderableType
from rich.table import Table
from scipy.stats import rankdata

from kernel.types import Band

SHARES = (0.01, 0.1, 0.5, 0.9, 0.99)
_NUMBERS = ("churn_probability", "lifetime_value")


@dataclass(frozen=True)
class Differences:
    """Challenger less champion, of customers to whom both give the number.

    Attributes:
        customers: how many.
        mean: difference.
        quantiles: differences at SHARES.
        rank_correlation: Spearman's; None of fewer than two customers, or where one says the same of all.
    """

    customers: int
    mean: float
    quantiles: tuple[float, ...]
    rank_correlation: float | None


@dataclass(frozen=True)
class Agreement:
    """The newest pair of models compared.

    Attributes:
        since, until: when the customers were asked for.
        customers: distinct (customer, ``as_of``) pairs.
        numbers: column of the scores file -> its differences; none where no customer has the number.
        moves: (champion's band, challenger's band) -> customers, of those with both.
    """

    champions: str
    challengers: str
    since: datetime
    until: datetime
    customers: int
    numbers: dict[str, Differences]
    moves: dict[tuple[Band, Band], int]

    @property
    def changed_share(self) -> float | None:
        """Share of customers in another band; None where nobody has a band."""
        everybody = sum(self.moves.values())
        return sum(n for (old, new), n in self.moves.items() if old is not new) / everybody if everybody else None


def agreement(scores: pd.DataFrame) -> Agreement | None:
    """Of the models that were compared last; None where nothing was compared.

    Args:
        scores: of :meth:`serving.shadow_log.ShadowLog.read`.
    """
    if scores.empty:
        return None
    champions, challengers = scores[["champions", "challengers"]].iloc[-1]
    pair = scores.loc[(scores["champions"] == champions) & (scores["challengers"] == challengers)]
    numbers = {name: found for name in _NUMBERS if (found := _differences(pair, name)) is not None}
    bands = pair.dropna(subset=["churn_band", "churn_band_challenger"])
    counts = bands.groupby(["churn_band", "churn_band_challenger"]).size()
    return Agreement(
        champions=str(champions),
        challengers=str(challengers),
        since=pair["scored_at"].min().to_pydatetime(),
        until=pair["scored_at"].max().to_pydatetime(),
        customers=len(pair),
        numbers=numbers,
        moves={(Band(old), Band(new)): int(count) for (old, new), count in counts.to_dict().items()},
    )


def agreement_lines(found: Agreement | None, currency: str) -> Iterable[RenderableType]:
    """The agreement in words and tables."""
    if found is None:
        yield 'Nothing was compared yet: set [service] shadow = "challenger", and let the service be asked.'
        return
    yield (
        f"{found.challengers} beside {found.champions}: {found.customers:,} customers, asked for from "
        f"{found.since:%Y-%m-%d %H:%M} to {found.until:%Y-%m-%d %H:%M} UTC"
    )
    if found.numbers:
        yield _differences_table(found, currency)
    share = found.changed_share
    if share is not None:
        yield f"{share:.1%} of {sum(found.moves.values()):,} customers would be in another churn band:"
        yield _moves_table(found)


def _differences(pair: pd.DataFrame, name: str) -> Differences | None:
    both = pair[[name, f"{name}_challenger"]].astype("float64").dropna().to_numpy()
    if not len(both):
        return None
    champion, challenger = both[:, 0], both[:, 1]
    change = challenger - champion
    correlation = None
    if np.ptp(champion) and np.ptp(challenger):
        correlation = float(np.corrcoef(rankdata(champion), rankdata(challenger))[0, 1])
    quantiles = tuple(float(value) for value in np.quantile(change, SHARES))
    return Differences(len(both), float(change.mean()), quantiles, correlation)


def _differences_table(found: Agreement, currency: str) -> Table:
    table = Table(title="Challenger less champion", title_justify="left")
    for title in ("", "customers", "mean", *(f"{share:.0%}" for share in SHARES), "rank corr."):
        table.add_column(title, justify="right" if title else "left")
    for name, of in found.numbers.items():
        style, label = ("+.4f", name) if name == "churn_probability" else ("+,.2f", f"{name} ({currency})")
        correlation = "-" if of.rank_correlation is None else f"{of.rank_correlation:.3f}"
        shown = [format(value, style) for value in (of.mean, *of.quantiles)]
        table.add_row(label, f"{of.customers:,}", *shown, correlation)
    return table


def _moves_table(found: Agreement) -> Table:
    table = Table()
    table.add_column("champion's band")
    for band in Band:
        table.add_column(f"→ {band.value}", justify="right")
    for old in Band:
        table.add_row(old.value, *(f"{found.moves.get((old, new), 0):,}" for new in Band))
    return table
