"""One file per feature group; every object here is a feature."""

from collections.abc import Mapping

from features.definitions import baskets, engagement, rfm, rhythm, tenure, trend
from features.definitions.attributes import attribute_features
from features.engine.definition import FeatureSet

_GROUPS = (rfm, tenure, trend, rhythm, baskets, engagement)


def feature_set(attributes: Mapping[str, str]) -> FeatureSet:
    """All features of a project with these customer attributes."""
    shared = [feature for group in _GROUPS for feature in group.FEATURES]
    return FeatureSet([*shared, *attribute_features(attributes)])


__all__ = ["feature_set"]
