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


def project_features(settings: Settings, attributes: Mapping[str, str]) -> FeatureSet:
    """All features of a project: those of this package, its own (``[features] modules``), its attributes.

    Raises:
        UsageError: as :func:`extra_features`.
    """
    return feature_set(attributes, extra_features([settings.path(file) for file in settings.features.modules]))


__all__ = ["extra_features", "feature_set", "project_features"]
