"""Which line of a TOML file a key stands on; the standard parser does not say."""

from __future__ import annotations

import re

_HEADER = re.compile(r"^\s*\[(\[)?\s*([A-Za-z0-9_.\-]+)\s*\]")
_KEY = re.compile(r"^\s*([A-Za-z0-9_\-]+(?:\.[A-Za-z0-9_\-]+)*)\s*=")
_QUOTES = re.compile(r'"""|\'\'\'')


class TomlLines:
    """Line numbers (from 1) of the elements of one array of tables, ``[[array]]``, and of their keys."""

    def __init__(self, text: str, array: str) -> None:
        self._lines: dict[tuple[int, tuple[str, ...]], int] = {}
        self._top: dict[str, int] = {}
        self._read(text, array)

    def of(self, element: int, path: tuple[str, ...] = ()) -> int | None:
        """The line of ``path`` inside element number ``element`` (from 0), or of the nearest part that has a line."""
        while path and (element, path) not in self._lines:
            path = path[:-1]
        return self._lines.get((element, path))

    def of_top(self, key: str) -> int | None:
        """The line of a key or table outside the array."""
        return self._top.get(key)

    def _read(self, text: str, array: str) -> None:
        element, table, inside = -1, ("",), False
        for number, line in enumerate(text.splitlines(), start=1):
            quotes = len(_QUOTES.findall(line))
            if not inside:
                if header := _HEADER.match(line):
                    path = tuple(header[2].split("."))
                    element += header[1] == "[" and path == (array,)
                    table = path
                    self._note(number, element, path, array)
                elif key := _KEY.match(line):
                    self._note(number, element, (*table, *key[1].split(".")), array)
            inside ^= quotes % 2 == 1

    def _note(self, number: int, element: int, path: tuple[str, ...], array: str) -> None:
        if path[0] == array and element >= 0:
            inner = path[1:]
            for length in range(len(inner) + 1):  # a dotted key or header also stands for what it opens
                self._lines.setdefault((element, inner[:length]), number)
        else:
            self._top.setdefault(path[0] or path[1], number)
