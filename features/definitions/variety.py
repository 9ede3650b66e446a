"""How many different things the customer buys, what is new among them, and how much the spend hangs on few."""

from collections.abc import Iterator

from features.definitions.parts import entropy, ratio
from features.definitions.trend import WINDOWS
from features.engine.definition import Feature, Unit, View


def _different() -> Iterator[Feature]:
    for days in WINDOWS:
        yield Feature(
            name=f"products_{days}d",
            group="variety",
            view=View.LINES,
            window_days=days,
            expression=lambda lines: lines.product_id.nunique(),
            phrase=f"different products in the last {days} days",
            unit=Unit.COUNT,
            when_unknown=0,
        )
        yield Feature(
            name=f"categories_{days}d",
            group="variety",
            view=View.LINES,
            window_days=days,
            expression=lambda lines: lines.category.nunique(where=lines.amount > 0),
            phrase=f"different categories in the last {days} days",
            unit=Unit.COUNT,
            when_unknown=0,
        )


def _on_few() -> Iterator[Feature]:
    for view, days, one in (
        (View.CATEGORIES, 90, "category"),
        (View.CATEGORIES, 365, "category"),
        (View.PRODUCTS, 365, "product"),
    ):
        yield Feature(
            name=f"top_{one}_share_{days}d",
            group="variety",
            view=view,
            window_days=days,
            expression=lambda groups: ratio(groups.amount.max(), groups.amount.sum()),
            phrase=f"of the spend in the top {one} in the last {days} days",
            unit=Unit.SHARE,
        )
    yield Feature(
        name="category_concentration_90d",
        group="variety",
        view=View.CATEGORIES,
        window_days=90,
        # Herfindahl index, from exact decimal sums.
        expression=lambda categories: (
            (categories.amount * categories.amount).sum().cast("float64")
            / (categories.amount.sum().cast("float64") * categories.amount.sum().cast("float64"))
        ),
        phrase="concentration of spend on few categories in the last 90 days (1 = all in one)",
        unit=Unit.RATIO,
    )
    for view, one, many in ((View.CATEGORIES, "category", "categories"), (View.PRODUCTS, "product", "products")):
        yield Feature(
            name=f"{one}_entropy_365d",
            group="variety",
            view=view,
            window_days=365,
            expression=entropy,
            phrase=f"entropy of spend over {many} in the last 365 days (0 = all in one)",
            unit=Unit.RATIO,
        )


def _new_and_lapsed() -> Iterator[Feature]:
    yield Feature(
        name="repeat_products_share_365d",
        group="variety",
        view=View.PRODUCTS,
        window_days=365,
        expression=lambda products: ratio(products.count(where=products.lines > 1), products.count()),
        phrase="of the products were bought more than once in the last 365 days",
        unit=Unit.SHARE,
    )
    for view, many in ((View.CATEGORIES, "categories"), (View.PRODUCTS, "products")):
        yield Feature(
            name=f"new_{many}_90d",
            group="variety",
            view=view,
            expression=lambda groups: groups.count(where=groups.first_days_ago <= 90),
            phrase=f"{many} bought for the first time in the last 90 days",
            unit=Unit.COUNT,
            when_unknown=0,
        )
    yield Feature(
        name="lapsed_categories_share_90d",
        group="variety",
        view=View.CATEGORIES,
        expression=lambda groups: ratio(groups.count(where=groups.days_ago > 90), groups.count()),
        phrase="of the categories so far were not bought in the last 90 days",
        unit=Unit.SHARE,
    )


FEATURES = (*_different(), *_on_few(), *_new_and_lapsed())
