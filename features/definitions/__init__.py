"""One file per feature group; every object here is a feature."""

from collections.abc import Mapping

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
from features.engine.definition import FeatureSet

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


def feature_set(attributes: Mapping[str, str]) -> FeatureSet:
    """All features of a project with these customer attributes."""
    shared = [feature for group in _GROUPS for feature in group.FEATURES]
    return FeatureSet([*shared, *attribute_features(attributes)])


__all__ = ["feature_set"]
