"""One file per feature group; every object here is a feature."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from features.definitions import (
    accounts,
    baskets,
    change,
    channels,
    contact_history,
    engagement,
    returns,
    rfm,
    rhythm,
    seasonality,
    subscriptions,
    support,
    tenure,
    trend,
    variety,
)
from features.definitions.attributes import attribute_features
from features.definitions.extra import load_features
from features.engine.definition import Feature, FeatureSet
from features.engine.lineage import only_mapped
from kernel.settings import Settings

_GROUPS = (
    rfm,
    tenure,
    trend,
    change,
    rhythm,
    seasonality,
    baskets,
    variety,
    returns,
    channels,
    engagement,
    contact_history,
    support,
    subscriptions,
    accounts,
)
_SHARED = tuple(feature for group in _GROUPS for feature in group.FEATURES)


def feature_set(attributes: Mapping[str, str], extra: Iterable[Feature] = ()) -> FeatureSet:
    """All features of a project with these customer attributes.

    Args:
        attributes: attribute name -> "string" or "float64".
        extra: features of the project's own (:func:`extra_features`).
    """
    return FeatureSet([*_SHARED, *extra, *attribute_features(attributes)])


def extra_features(files: Iterable[Path]) -> tuple[Feature, ...]:
    """The features that a project keeps in Python files of its own, each of which defines ``FEATURES``.

    Raises:
        UsageError: a file is missing, fails or has no FEATURES; a name is taken; a column is not there.
    """
    return load_features(files, [feature.name for feature in _SHARED])


def project_features(
    settings: Settings, attributes: Mapping[str, str], mapped: Mapping[str, Iterable[str]] | None = None
) -> FeatureSet:
    """The features of a project: those of this package, its own (``[features] modules``), its attributes.

    Args:
        attributes: attribute name -> "string" or "float64".
        mapped: semantic table -> its mapped columns; features of others are left out. None: all features.

    Raises:
        UsageError: as :func:`extra_features`.
    """
    found = feature_set(attributes, extra_features([settings.path(file) for file in settings.features.modules]))
    return found if mapped is None else only_mapped(found, attributes, mapped)


__all__ = ["extra_features", "feature_set", "project_features"]
