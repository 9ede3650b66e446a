"""HTML that is escaped by construction: plain text goes in, only ``Html`` passes unchanged."""

from __future__ import annotations

from html import escape

_VOID = frozenset({"meta", "input", "br"})


class Html(str):
    """Text that is already HTML."""

    __slots__ = ()


def element(name: str, /, *children: str, **attributes: str | int | bool | None) -> Html:
    """``<name attributes>children</name>``; children that are no ``Html`` are escaped, and so is every attribute.

    In attribute names a trailing underscore is dropped (``class_``), the others become hyphens; an attribute that is
    None or False is left out.
    """
    given = {key: value for key, value in attributes.items() if value is not None and value is not False}
    opening = "".join(_attribute(key, value) for key, value in given.items())
    if name in _VOID:
        return Html(f"<{name}{opening}>")
    return Html(f"<{name}{opening}>{join(*children)}</{name}>")


def join(*children: str) -> Html:
    """The children, one after the other."""
    return Html("".join(child if isinstance(child, Html) else escape(child) for child in children))


def _attribute(key: str, value: str | int | bool) -> str:
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'
