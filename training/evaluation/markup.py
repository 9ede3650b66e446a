"""HTML as a tree of elements: text is escaped by construction when the tree is written."""

from __future__ import annotations

from xml.etree.ElementTree import Element, tostring


def tag(name: str, /, *children: str | Element, **attributes: str | None) -> Element:
    """``<name attributes>children</name>``.

    In an attribute's name a trailing underscore is dropped (``class_``), the others become hyphens; an attribute that
    is None is left out.
    """
    element = Element(
        name, {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items() if value is not None}
    )
    for child in children:
        if isinstance(child, Element):
            element.append(child)
        elif len(element):
            element[-1].tail = (element[-1].tail or "") + child
        else:
            element.text = (element.text or "") + child
    return element


def written(*elements: Element) -> str:
    """The elements as HTML, one after the other."""
    return "\n".join(tostring(element, encoding="unicode", method="html") for element in elements)
