"""Columns of words: codes mean the same in two columns only when both have the same dictionary."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from features.engine.single.steps import Function
from features.engine.single.values import Column, Scalar


def of_words(function: Function, conditions: int = 0) -> Function:
    """A function of columns, for arguments that are words: columns and constants get one dictionary first.

    Args:
        function: of columns and scalars.
        conditions: how many arguments come before the words.
    """
    return partial(_run, function, conditions)


def _run(function: Function, conditions: int, *args: Column | Scalar) -> Column:
    first, rest = args[:conditions], args[conditions:]
    alike, words = in_one_dictionary(rest)
    result: Column = function(*first, *alike)
    return result if result.values.dtype == np.bool_ else result._replace(words=words)


def in_one_dictionary(args: tuple[Column | Scalar, ...]) -> tuple[list[Any], dict[str, int]]:
    """Columns and words as codes of one dictionary, which rise as the words do; None stays None."""
    found = [arg.words or {} for arg in args if isinstance(arg, Column)]
    loose = {arg for arg in args if isinstance(arg, str)}
    words = found[0] if found else {}
    if any(other is not words and other != words for other in found) or not loose <= words.keys():
        every = loose.union(*found)
        words = {word: code for code, word in enumerate(sorted(every))}
    return [_coded(arg, words) for arg in args], words


def _coded(arg: Column | Scalar, words: dict[str, int]) -> Any:
    if not isinstance(arg, Column):
        return None if arg is None else words[arg]
    own = arg.words or {}
    if own is words or own == words:
        return arg
    # The code -1 (NULL) takes the last place.
    codes = np.array([*(words[word] for word in own), -1], dtype=np.int64)[arg.values]
    return Column(codes, arg.known, words)
