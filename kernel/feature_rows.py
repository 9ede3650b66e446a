"""Features of some customers as models and rules read them. What holds them is a data frame, or one matrix of numbers
where a few customers are looked up: taking columns from a frame of one row costs more than every model together."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kernel.part import Floats


class FeatureRows(Protocol):
    """One row per customer. An unknown name is a KeyError everywhere."""

    def __len__(self) -> int: ...

    @property
    def customer_ids(self) -> list[str]:
        """In the order of the rows."""
        ...

    @property
    def names(self) -> Collection[str]:
        """Of the features."""
        ...

    def number(self, name: str) -> Floats:
        """A feature's numbers, shape (rows,); NaN where unknown."""
        ...

    def numbers(self, names: tuple[str, ...]) -> Floats:
        """Several at once, shape (rows, names)."""
        ...

    def values(self, name: str) -> list[Any]:
        """A feature's values as they are: numbers, or words with None where unknown."""
        ...

    def column(self, name: str) -> Any:
        """The same as an array, or as pandas' series."""
        ...

    def take(self, places: NDArray[np.intp]) -> FeatureRows:
        """Some of the rows, by position."""
        ...

    def with_values(self, values: Mapping[str, float | str | None]) -> FeatureRows:
        """The same rows, each with these values in place of its own; None where unknown."""
        ...

    @property
    def frame(self) -> pd.DataFrame:
        """As a data frame, index customer_id: float64 with NaN where unknown, object (str or None) for words."""
        ...


Features = pd.DataFrame | FeatureRows
"""What a person gives, or what was looked up."""


def rows_of(features: Features) -> FeatureRows:
    """What a person gives (a frame, index customer_id) as what models read."""
    return FrameRows(features) if isinstance(features, pd.DataFrame) else features


@dataclass(frozen=True)
class FrameRows:
    """Features in a data frame; nothing is copied before it is read."""

    frame: pd.DataFrame

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def customer_ids(self) -> list[str]:
        """See :class:`FeatureRows`."""
        return self.frame.index.tolist()

    @property
    def names(self) -> Collection[str]:
        """See :class:`FeatureRows`."""
        return {str(name) for name in self.frame.columns}

    def number(self, name: str) -> Floats:
        """See :class:`FeatureRows`."""
        return self.frame[name].to_numpy(dtype="float64", na_value=np.nan)

    def numbers(self, names: tuple[str, ...]) -> Floats:
        """See :class:`FeatureRows`."""
        return self.frame[list(names)].to_numpy(dtype="float64", na_value=np.nan)

    def values(self, name: str) -> list[Any]:
        """See :class:`FeatureRows`."""
        return self.frame[name].to_list()

    def column(self, name: str) -> Any:
        """See :class:`FeatureRows`."""
        return self.frame[name]

    def take(self, places: NDArray[np.intp]) -> FeatureRows:
        """See :class:`FeatureRows`."""
        return FrameRows(self.frame.iloc[places])

    def with_values(self, values: Mapping[str, float | str | None]) -> FeatureRows:
        """See :class:`FeatureRows`."""
        if unknown := values.keys() - self.names:
            raise KeyError(min(unknown))
        given = {
            name: pd.Series([value] * len(self), index=self.frame.index, dtype=self.frame[name].dtype)
            for name, value in values.items()
        }
        return FrameRows(self.frame.assign(**given))


@dataclass(frozen=True)
class FeatureLayout:
    """Which features packed rows hold, in the order of their columns."""

    numbers: tuple[str, ...]
    words: tuple[str, ...] = ()
    _known: dict[tuple[str, ...], NDArray[np.intp]] = field(
        default_factory=dict[tuple[str, ...], NDArray[np.intp]], compare=False, repr=False
    )

    @cached_property
    def number_at(self) -> dict[str, int]:
        """Name -> column of the matrix."""
        return {name: place for place, name in enumerate(self.numbers)}

    @cached_property
    def word_at(self) -> dict[str, int]:
        """Name -> place among the words."""
        return {name: place for place, name in enumerate(self.words)}

    @cached_property
    def names(self) -> Collection[str]:
        """Of all features."""
        return {*self.numbers, *self.words}

    def places(self, names: tuple[str, ...]) -> NDArray[np.intp]:
        """Columns of the matrix. A model asks for the same ones each time: they are remembered."""
        found = self._known.get(names)
        if found is None:
            found = self._known[names] = np.array([self.number_at[name] for name in names], dtype=np.intp)
        return found


@dataclass(frozen=True)
class PackedRows:
    """Features in one matrix.

    Attributes:
        matrix: shape (rows, numbers of the layout).
        texts: for each row its words, in the order of the layout.
        order: of the columns of ``frame``.
    """

    layout: FeatureLayout
    customer_ids: list[str]
    matrix: Floats
    texts: Sequence[Sequence[str | None]]
    order: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.customer_ids)

    @property
    def names(self) -> Collection[str]:
        """See :class:`FeatureRows`."""
        return self.layout.names

    def number(self, name: str) -> Floats:
        """See :class:`FeatureRows`."""
        return self.matrix[:, self.layout.number_at[name]]

    def numbers(self, names: tuple[str, ...]) -> Floats:
        """See :class:`FeatureRows`."""
        return self.matrix[:, self.layout.places(names)]

    def values(self, name: str) -> list[Any]:
        """See :class:`FeatureRows`."""
        place = self.layout.word_at.get(name)
        return self.number(name).tolist() if place is None else [row[place] for row in self.texts]

    def column(self, name: str) -> Any:
        """See :class:`FeatureRows`."""
        return np.array(self.values(name), dtype=object) if name in self.layout.word_at else self.number(name)

    def take(self, places: NDArray[np.intp]) -> FeatureRows:
        """See :class:`FeatureRows`."""
        rows = places.tolist()
        ids, texts = [self.customer_ids[row] for row in rows], [self.texts[row] for row in rows]
        return PackedRows(self.layout, ids, self.matrix[places], texts, self.order)

    def with_values(self, values: Mapping[str, float | str | None]) -> FeatureRows:
        """See :class:`FeatureRows`."""
        matrix, texts = self.matrix.copy(), [list(row) for row in self.texts]
        for name, value in values.items():
            place = self.layout.word_at.get(name)
            if place is None:
                matrix[:, self.layout.number_at[name]] = np.nan if value is None else value
                continue
            for row in texts:
                row[place] = None if value is None else str(value)
        return PackedRows(self.layout, self.customer_ids, matrix, texts, self.order)

    @property
    def frame(self) -> pd.DataFrame:
        """See :class:`FeatureRows`."""
        index = pd.Index(self.customer_ids, name="customer_id", dtype="object")
        # One block for all numbers: a column at a time costs more.
        numbers = pd.DataFrame(self.matrix, index=index, columns=list(self.layout.numbers))
        words = {name: pd.Series(self.values(name), index=index, dtype="object") for name in self.layout.words}
        return pd.concat([numbers, pd.DataFrame(words, index=index)], axis=1).loc[:, list(self.order)]
