"""The challenger beside the champion: it answers a share of the customers, or is only compared."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from serving.insights import InsightSource

if TYPE_CHECKING:
    from serving.shadow import Shadow

_OF_DIGEST = 8  # bytes


@dataclass(frozen=True)
class Challenger:
    """A source of insights that is not (yet) the champion's.

    Attributes:
        source: answers as the champion's does.
        share: of the customers whom it answers, 0 to 1 (the canary).
        salt: draws them; another challenger takes others.
        shadow: compares it on the requests that the champion answers; None for not at all.
    """

    source: InsightSource
    share: float
    salt: str
    shadow: Shadow | None = None

    @classmethod
    def of(cls, source: InsightSource, names: Sequence[str], share: float, shadow: Shadow | None) -> Challenger:
        """``names``: the model versions, by which the customers of the canary are drawn."""
        return cls(source, share, " ".join(names), shadow)

    def takes(self, customer_id: str) -> bool:
        """Whether the customer is one of the canary's: always the same for the same models, and with a larger share
        still so."""
        if not self.share:
            return False
        digest = hashlib.blake2b(f"{self.salt}\0{customer_id}".encode(), digest_size=_OF_DIGEST).digest()
        return int.from_bytes(digest) < self.share * 256**_OF_DIGEST
