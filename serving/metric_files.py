"""Room on the disk for the counts of a worker."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_KINDS = ("counter", "histogram", "gauge_livesum", "gauge_livemax")
_BYTES = 512 * 1024  # several times what all routes with all their statuses take


def reserve_metric_files() -> None:
    """Give this process's counts their place before the first of them is made.

    ``prometheus_client`` counts in files that it maps into memory, with holes for what comes: a count that falls into
    a hole when the disk is full ends the process (SIGBUS). Nothing is done where one process counts by itself.

    Raises:
        OSError: there is no room.
    """
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder is None:
        return
    for kind in _KINDS:
        # Written, not only of that length: then it takes its place.
        Path(folder, f"{kind}_{os.getpid()}.db").write_bytes(bytes(_BYTES))
