"""Stopping without a lost request: first not ready, then no new connections, then the end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any


def drain_on_sigterm(begin: Callable[[], None], seconds: float) -> None:
    """On SIGTERM call ``begin``, and pass the signal on to the server ``seconds`` later.

    So a load balancer sees ``/readyz`` fail and turns to others while the service still answers. To be called in the
    main thread, in the running event loop, once the server listens to signals itself.
    """
    loop = asyncio.get_running_loop()
    server: Any = signal.getsignal(signal.SIGTERM)

    def drain(number: int, frame: FrameType | None) -> None:
        begin()
        loop.call_soon_threadsafe(loop.call_later, seconds, server, number, frame)
        signal.signal(signal.SIGTERM, server)  # asked again, it stops at once

    signal.signal(signal.SIGTERM, drain)
