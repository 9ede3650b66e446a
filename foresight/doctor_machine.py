"""What ``foresight doctor`` looks at around a project: packages, keys, port, clock, cores."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from importlib import metadata

from packaging.requirements import Requirement

from foresight.doctor import Check, Examination, State
from kernel.clock import utc_now
from kernel.errors import UsageError
from kernel.settings import Settings
from serving.http.keys import configured_keys
from serving.http.safety import require_safe

_DISTRIBUTION = "foresight"


def packages(_: Settings) -> Iterator[Check]:
    """The installed packages are not older than what foresight asks for."""
    try:
        wanted = [Requirement(one) for one in metadata.requires(_DISTRIBUTION) or ()]
    except metadata.PackageNotFoundError:
        yield Check("packages", State.WARN, "foresight is not installed as a package.", "Install it: pip install -e .")
        return
    yield installed([one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})])


def installed(wanted: list[Requirement]) -> Check:
    """Whether these requirements are met here."""
    wrong: list[str] = []
    for one in wanted:
        try:
            found = metadata.version(one.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{one.name} is missing")
            continue
        if not one.specifier.contains(found, prereleases=True):
            wrong.append(f"{one.name} {found} is not {one.specifier}")
    if wrong:
        return Check("packages", State.FAIL, f"{'; '.join(wrong)}.", "Install requirements.lock again.")
    return Check("packages", State.OK, f"{len(wanted)} as required")


def keys(settings: Settings, environment: Mapping[str, str] = os.environ) -> Iterator[Check]:
    """Who may ask: a key where others can reach the service, and none that can be guessed."""
    service = settings.service
    try:
        require_safe(service, environment, service.host)
        accepted = configured_keys(service, environment)
        if accepted:  # what production would refuse is wrong in development too
            require_safe(service.model_copy(update={"environment": "production"}), environment, service.host)
    except UsageError as error:
        yield Check("keys", State.FAIL, error.what, error.fix)
        return
    if not accepted:
        yield Check("keys", State.WARN, "No API key is asked for; only this machine can ask.", "Set one.")
        return
    yield Check("keys", State.OK, f"{len(accepted)} accepted")


def port(settings: Settings) -> Iterator[Check]:
    """Nobody else listens where the service would."""
    service = settings.service
    name = f"port {service.port}"
    with socket.socket(socket.AF_INET6 if ":" in service.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((service.host, service.port))
        except OSError as error:
            fix = "Stop it if it is not this service, or set [service] port."
            yield Check(name, State.WARN, f"It cannot be listened on: {error.strerror}.", fix)
            return
    yield Check(name, State.OK, f"free on {service.host}")


def clock(settings: Settings) -> Iterator[Check]:
    """The clock is not behind what was written before now."""
    places = (settings.file, settings.registry_folder / "mlflow.db", settings.state_folder / "snapshots" / "current")
    written = [datetime.fromtimestamp(place.stat().st_mtime, UTC) for place in places if place.exists()]
    now = utc_now()
    if max(written) > now + timedelta(minutes=1):
        yield Check("clock", State.FAIL, f"It is {now:%Y-%m-%d %H:%M} UTC by it; files are newer.", "Set it by NTP.")
        return
    yield Check("clock", State.OK, f"{now:%Y-%m-%d %H:%M} UTC")


def cores(settings: Settings) -> Iterator[Check]:
    """Not more workers than cores."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = settings.service.workers
    said = f"{workers} {'worker' if workers == 1 else 'workers'} on {count} {'core' if count == 1 else 'cores'}"
    if workers > count:
        yield Check("cores", State.WARN, said, f"Set [service] workers = {count}.")
        return
    yield Check("cores", State.OK, said)


ON_THE_MACHINE: dict[str, Examination] = {
    "packages": packages,
    "keys": keys,
    "port": port,
    "clock": clock,
    "cores": cores,
}
