"""What the customer data platform says about the customer: one feature per mapped attribute."""

from collections.abc import Mapping
from functools import cache

from features.engine.definition import Expression, Feature, Unit, View


@cache  # equal features must be equal objects, so that the engine compiles them once
def _column(name: str) -> Expression:
    return lambda customers: customers[name]


def attribute_features(attributes: Mapping[str, str]) -> tuple[Feature, ...]:
    """One feature per attribute; text becomes a category, a number stays one.

    Args:
        attributes: attribute name -> "string" or "float64", as the contract found them.
    """
    return tuple(
        Feature(
            name=name,
            group="attributes",
            view=View.CUSTOMERS,
            expression=_column(name),
            phrase=name.replace("_", " "),
            unit=Unit.WORD if kind == "string" else Unit.COUNT,
        )
        for name, kind in attributes.items()
    )
