"""The models that answer, followed while the service runs: a promotion, a rollback, an edited catalogue or features of
other definitions take effect without a restart, and never before what is new was loaded beside the old and checked."""

from __future__ import annotations

import gc
import hashlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NoReturn

from features.engine.manifest import SnapshotManifest
from features.engine.online import OnlineStore, OnlineUnavailableError
from kernel.clock import utc_now
from kernel.errors import ForesightError, RegistryError, UsageError
from kernel.model_registry import ModelRegistry
from kernel.settings import Settings
from serving.challenger import Challenger
from serving.insights import InsightSource, ModelsUnavailableError
from serving.live_metrics import live_metrics
from serving.live_models import LastGood, Loader, Models, Wanted, champions, names_of
from serving.runtime import Runtime, open_runtime_on
from serving.shadow import Shadow
from serving.shadow_log import ShadowLog

_LOGGER = logging.getLogger("foresight.live")


@dataclass(frozen=True)
class Answering:
    """What answers at a moment; put in use as one."""

    source: InsightSource
    challenger: Challenger | None = None


@dataclass(frozen=True)
class LiveState:
    """What the service says of its models.

    Attributes:
        champions: the versions that answer, such as ``churn/3``; none while it waits for the first.
        challengers: the versions beside them, where there are any.
        refused: why newer champions, or what is around them, are not in use.
        challenger_refused: why the challengers are not.
        registry_away: why the registry cannot be asked.
    """

    champions: tuple[str, ...] = ()
    challengers: tuple[str, ...] = ()
    refused: str | None = None
    challenger_refused: str | None = None
    registry_away: str | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What an operator should look at."""
        said = (
            ("newer models are not in use", self.refused),
            ("the challenger is not in use", self.challenger_refused),
            ("the registry is away", self.registry_away),
        )
        return tuple(f"{title}: {why}" for title, why in said if why is not None)


class LiveModels:
    """Looks every few seconds whether what should answer is another than what does. One thread may poll at a time."""

    def __init__(self, settings: Settings, *, clock: Callable[[], datetime] = utc_now) -> None:
        """Nothing is opened before :meth:`first`.

        Raises:
            UsageError: a URL of ``[state]`` cannot be used.
        """
        self._settings = settings
        self._clock = clock
        self._registry = ModelRegistry.of(settings)
        self._stored = OnlineStore.of(settings)
        self._copy = LastGood.of(settings)
        self._loader = Loader(settings.project.language)
        self._shadow = Shadow(ShadowLog.of(settings)) if settings.service.shadow else None
        self._found: tuple[Wanted, Wanted | None] | None = None
        self._in_use: object = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.state = LiveState()

    def first(self) -> Answering:
        """What answers at the start: the champions, or where they cannot be had the copy of the last that answered.

        Raises:
            UsageError: the configuration or the catalogue is wrong.
            RegistryError: there are no champions and none answered before, or they cannot be used.
            NotFoundError: no features were published yet.
            OnlineUnavailableError: the features cannot be read.
        """
        wanted, challengers = self._champions()
        manifest = self._stored.current_manifest()
        try:
            return self._open(wanted, challengers, manifest)
        except RegistryError as error:
            kept = self._copy.find()
            if kept is None or kept == wanted:
                raise
            try:
                answering = self._open(kept, None, manifest)
            except RegistryError:
                raise error from None  # that of what should answer
            self._refuse(error)
            return answering

    def first_or_waiting(self) -> Answering:
        """The same; where there is nothing to answer with yet, what says so (503) until there is.

        Raises:
            UsageError: the configuration or the catalogue is wrong.
        """
        try:
            return self.first()
        except UsageError:
            raise
        except ForesightError as error:
            # A worker that ended here would be started again and again.
            _LOGGER.warning("waiting for models: %s", error)
            source: Any = NoModelsYet()
            return Answering(source)

    def poll(self) -> Answering | None:
        """What answers from now on; None where all stays as it is. What cannot be used is refused: the old stays."""
        try:
            wanted, challengers = self._champions()
            manifest = self._stored.current_manifest()
            if self._key(wanted, challengers, manifest) == self._in_use:
                self._say_refused(None)
                return None
            return self._open(wanted, challengers, manifest)
        except OnlineUnavailableError:
            return None  # every request says so
        except Exception as error:
            self._refuse(error)
            return None

    def start(self, put: Callable[[Answering], None]) -> None:
        """Follow from now on, in a thread; ``put`` is given what answers from then on."""
        if self._shadow is not None:
            self._shadow.start()
        self._thread = threading.Thread(target=self._follow, args=(put,), name="foresight-live", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End, and give the databases back."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        if self._shadow is not None:
            self._shadow.stop()
        self._stored.close()

    def _follow(self, put: Callable[[Answering], None]) -> None:
        while not self._stopping.wait(self._settings.service.poll_seconds):
            answering = self.poll()
            if answering is None:
                continue
            put(answering)
            del answering  # else the old models would stay in memory until the next ones come
            live_metrics().swaps.inc()
            _LOGGER.info("now in use: %s", ", ".join(self.state.champions))
            # As at the start. What was frozen before and is not used any more goes by its last reference.
            gc.collect()
            gc.freeze()

    def _champions(self) -> tuple[Wanted, Wanted | None]:
        try:
            self._found = champions(self._registry, self._settings)
        except RegistryError as error:
            is_new = self.state.registry_away is None
            self.state = replace(self.state, registry_away=error.what)
            live_metrics().registry_away.set(1)
            kept = self._copy.find() if self._found is None else None
            found = self._found if kept is None else (kept, None)
            if found is None:
                raise  # whoever asked says so
            if is_new:
                _LOGGER.warning("the registry cannot be asked: %s", error)
            if kept is not None:
                _LOGGER.warning("in use is the copy of the last champions: %s", ", ".join(names_of(kept)))
            self._found = found
            return found
        if self.state.registry_away is not None:
            _LOGGER.warning("the registry is back")
        self.state = replace(self.state, registry_away=None)
        live_metrics().registry_away.set(0)
        return self._found

    def _open(self, wanted: Wanted, challengers: Wanted | None, manifest: SnapshotManifest) -> Answering:
        key = self._key(wanted, challengers, manifest)
        models = self._loader.load(wanted, manifest)
        runtime = self._runtime(models)
        beside, refused = self._challenger(models, challengers, manifest)
        self._loader.keep_only([models, *([] if beside is None else [beside[0]])])
        self._keep_copy(wanted)
        self.state = LiveState(
            champions=models.names,
            challengers=() if beside is None else beside[0].names,
            challenger_refused=refused,
            registry_away=self.state.registry_away,
        )
        self._say_refused(None)
        self._in_use = key
        return Answering(runtime, None if beside is None else beside[1])

    def _challenger(
        self, champion: Models, challengers: Wanted | None, manifest: SnapshotManifest
    ) -> tuple[tuple[Models, Challenger] | None, str | None]:
        """The challenger, or why it is not in use."""
        service = self._settings.service
        if challengers is None or not (service.canary or service.shadow):
            return None, None
        try:
            models = self._loader.load(challengers, manifest)
            source = self._runtime(models)
        except ForesightError as error:
            _LOGGER.warning("the challenger %s is not in use: %s", ", ".join(names_of(challengers)), error)
            live_metrics().refused.inc()
            return None, error.what
        # A challenger that only knows other effects of actions scores as the champion does.
        is_other = models.names[:2] != champion.names[:2]
        shadow = self._shadow if is_other else None
        return (models, Challenger.of(source, models.names, service.canary, shadow)), None

    def _runtime(self, models: Models) -> Runtime:
        return open_runtime_on(self._settings, models.scorer, self._stored, learned=models.learned, clock=self._clock)

    def _keep_copy(self, wanted: Wanted) -> None:
        try:
            self._copy.keep(wanted)
        except OSError as error:
            _LOGGER.warning("the champions were not copied (%s): a start without the registry may fail", error.strerror)

    def _refuse(self, error: Exception) -> None:
        why = error.what if isinstance(error, ForesightError) else type(error).__name__
        if why != self.state.refused:
            _LOGGER.warning("newer models are not in use: %s", error if isinstance(error, ForesightError) else why)
            live_metrics().refused.inc()
        self._say_refused(why)

    def _say_refused(self, why: str | None) -> None:
        self.state = replace(self.state, refused=why)
        live_metrics().champion_refused.set(why is not None)

    def _key(self, wanted: Wanted, challengers: Wanted | None, manifest: SnapshotManifest) -> object:
        """What a runtime is opened around; it stays in use as long as this does."""
        catalogue = self._settings.actions.catalogue
        digest = None
        if catalogue is not None:
            file = self._settings.path(catalogue)
            digest = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "missing"
        return wanted, challengers, digest, manifest.feature_versions, manifest.attributes


class NoModelsYet:
    """Stands for the models (``InsightSource``) until there are any: whatever is asked of it is not ready."""

    def __getattr__(self, name: str) -> NoReturn:
        raise ModelsUnavailableError
