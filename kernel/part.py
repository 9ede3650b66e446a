"""A piece of a manifest, and the arrays that models compute with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

Floats = NDArray[np.float64]


class Part(BaseModel):
    """A piece of a manifest."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
