"""A process that builds or loads and stops half-way, to be killed: ``python -m tests.doubles.store_process``.

Arguments: what to do (``build``, ``load``, ``publish``), the folder of a tiny project, as_of, the online URL, and
seconds to wait for others. It says ``half`` when half is done, goes on at a line on standard input, and says ``done``.
"""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

from features.contract.profiles import Profiles, load_profiles
from features.definitions import feature_set
from features.engine import online_load
from features.engine.build import write_features
from features.engine.definition import FeatureSet
from features.engine.online import OnlineStore
from features.engine.snapshot import Snapshot
from features.engine.store import SnapshotStore
from kernel.clock import parse_as_of
from kernel.errors import ForesightError
from kernel.settings import load_settings


def say(text: str) -> None:
    print(text, flush=True)


def half() -> None:
    say("half")
    sys.stdin.readline()


def write_and_stop(profiles: Profiles, features: FeatureSet, as_of: datetime, file: Path) -> int:
    rows = write_features(profiles, features, as_of, file)
    half()
    return rows


class StoppingStore(OnlineStore):
    def load(self, snapshot: Snapshot, *, advance: object = None, **others: object) -> None:
        online_load.TOGETHER = 1
        told: list[int] = []

        def once(rows: int) -> None:
            told.append(rows)
            if len(told) == 1:
                half()

        super().load(snapshot, advance=once, **others)


def main() -> int:
    what, folder, as_of, url, wait = sys.argv[1:]
    profiles = load_profiles(load_settings(folder))
    store = SnapshotStore(Path(folder) / "state", wait_seconds=float(wait), say=say)
    kind = OnlineStore if what == "build" else StoppingStore
    write = write_and_stop if what == "build" else write_features
    with kind(url, "tiny", wait_seconds=float(wait), say=say) as online:
        try:
            if what == "load":
                online.load(store.read(parse_as_of(as_of)))
            else:
                store.publish(profiles, feature_set({}), parse_as_of(as_of), online=online, write=write)
        except ForesightError as error:
            say(f"refused: {error.what}")
            return error.exit_code
    say("done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
