"""Where the customer buys: how many channels or stores, how much in the first of them, how often another one."""

from collections.abc import Iterator

from features.definitions.parts import entropy, ratio
from features.engine.definition import Feature, Unit, View


def _features() -> Iterator[Feature]:
    for days in (30, 90, 365):
        yield Feature(
            name=f"channels_{days}d",
            group="channels",
            view=View.LINES,
            window_days=days,
            expression=lambda lines: lines.channel.nunique(),
            phrase=f"different channels or stores in the last {days} days",
            unit=Unit.COUNT,
            when_unknown=0,
        )
    yield Feature(
        name="top_channel_share_365d",
        group="channels",
        view=View.CHANNELS,
        window_days=365,
        expression=lambda channels: ratio(channels.amount.max(), channels.amount.sum()),
        phrase="of the spend in the top channel or store in the last 365 days",
        unit=Unit.SHARE,
    )
    yield Feature(
        name="channel_entropy_365d",
        group="channels",
        view=View.CHANNELS,
        window_days=365,
        expression=entropy,
        phrase="entropy of spend over channels or stores in the last 365 days (0 = all in one)",
        unit=Unit.RATIO,
    )
    yield Feature(
        name="new_channels_90d",
        group="channels",
        view=View.CHANNELS,
        expression=lambda channels: channels.count(where=channels.first_days_ago <= 90),
        phrase="channels or stores used for the first time in the last 90 days",
        unit=Unit.COUNT,
        when_unknown=0,
    )
    yield Feature(
        name="channel_switches_365d",
        group="channels",
        view=View.GAPS,
        window_days=365,
        expression=lambda gaps: gaps.count(where=gaps.switched),
        phrase="times another channel or store than on the purchase day before, in the last 365 days",
        unit=Unit.COUNT,
        when_unknown=0,
    )


FEATURES = tuple(_features())
