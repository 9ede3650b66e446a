"""Features that a data scientist keeps beside ``foresight.toml``, in Python files that define ``FEATURES``."""

from __future__ import annotations

import hashlib
import re
import sys
import traceback
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from features.engine.definition import Feature, View
from features.engine.scope import scoped_tables
from features.engine.views import view_rows
from kernel.errors import UsageError, did_you_mean

_HOW = "Write FEATURES = (Feature(...), ...); docs/bring-your-own-data.md shows one."
_MOMENTS = ("event_time", "ingested_at", "created_at")


def load_features(files: Iterable[Path], taken: Collection[str]) -> tuple[Feature, ...]:
    """The features of these files, in order.

    A file is run once for each content it has had, so that the same features stay the same objects.

    Args:
        files: Python files.
        taken: names that are given already.

    Raises:
        UsageError: a file that is missing, fails, or has no FEATURES; a name given twice; an expression that its
            view's rows cannot answer, such as one that asks for a moment in time.
    """
    found: list[Feature] = []
    for file in files:
        for feature in _loaded(file, _content(file)):
            if feature.name in {*taken, *(other.name for other in found)}:
                raise UsageError(
                    f"Two features are called '{feature.name}'.", where=str(file), fix="Give this one another name."
                )
            found.append(feature)
    return tuple(found)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise UsageError(
            "There is no such file of features.",
            where=f"features.modules: {file}",
            fix="Correct the path; it is relative to the TOML file.",
        ) from error
    except OSError as error:
        raise UsageError(
            f"The file of features cannot be read ({type(error).__name__}).",
            where=f"features.modules: {file}",
            fix="Name a Python file that this user may read.",
        ) from error


@cache
def _loaded(file: Path, content: bytes) -> tuple[Feature, ...]:
    features = getattr(_run(file, content), "FEATURES", None)
    if features is None:
        raise UsageError("The file defines no FEATURES.", where=str(file), fix=_HOW)
    if not isinstance(features, tuple | list) or not all(isinstance(feature, Feature) for feature in features):
        raise UsageError("FEATURES is no tuple of Feature objects.", where=str(file), fix=_HOW)
    for feature in features:
        _check(feature, file)
    return tuple(features)


def _run(file: Path, content: bytes) -> ModuleType:
    # Under a name of its own, and without bytecode beside the user's file.
    module = ModuleType(f"{file.stem}_{hashlib.sha256(content).hexdigest()[:12]}")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module
    try:
        exec(compile(content, str(file), "exec"), module.__dict__)
    except Exception as error:
        del sys.modules[module.__name__]
        raise UsageError(
            f"The file of features fails: {type(error).__name__}: {error}.",
            where=f"{file}, line {_line(error, file)}",
            fix="Correct the file; it runs when the project is opened.",
        ) from error
    return module


def _line(error: Exception, file: Path) -> int | None:
    if isinstance(error, SyntaxError):
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    return lines[-1] if lines else None


def _check(feature: Feature, file: Path) -> None:
    """Refuse an expression that asks for what its rows do not have, before anything is computed."""
    if feature.view in (View.CUSTOMERS, View.FEATURES):
        return  # their columns are the project's: seen when the features are put together
    rows: Any = view_rows(feature.view, feature.window_days, scoped_tables({}))
    try:
        feature.expression(rows)
    except Exception as error:
        where = f"{file}: {feature.name}"
        asked = re.search(r"(?:no attribute|Column) '(\w+)'", str(error))
        if asked is None:
            raise UsageError(
                f"The expression of '{feature.name}' fails: {type(error).__name__}.",
                where=where,
                fix=f"It must be one aggregate of the columns {', '.join(rows.columns)}.",
            ) from error
        raise UsageError(
            f"'{feature.name}' asks for '{asked[1]}', which the rows of '{feature.view}' do not have.",
            where=where,
            fix="A definition sees no moments, so that it cannot look ahead: use days_ago or day_ago."
            if asked[1] in _MOMENTS
            else did_you_mean(asked[1], rows.columns),
        ) from error
