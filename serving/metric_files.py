"""Room on the disk for the counts of a worker."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_KINDS = ("counter", "histogram", "gauge_livesum", "gauge_livemax")
_BYTES = 512 * 1024  # several times what all routes with all their statuses take


@contextmanager
def room_for_counts() -> Generator[None]:
    """Give this process's counts their place before the first of them is made; an error within gives it back.

    ``prometheus_client`` counts in files that it maps into memory, with holes for what comes: a count that falls into
    a hole when the disk is full ends the process (SIGBUS). Nothing is done where one process counts by itself.

    Raises:
        OSError: there is no room.
    """
    folder = os.environ.get(FOLDER_VARIABLE)
    files = [] if folder is None else [Path(folder, f"{kind}_{os.getpid()}.db") for kind in _KINDS]
    try:
        for file in files:
            file.write_bytes(bytes(_BYTES))  # written, not only of that length: then it takes its place
        yield
    except BaseException:
        # A worker that cannot start is started again and again.
        for file in files:
            file.unlink(missing_ok=True)
        raise
