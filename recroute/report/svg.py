"""Matplotlib figures as SVG to embed in an HTML page."""

from __future__ import annotations

import io
import re
from typing import Any
from xml.etree import ElementTree

REFERENCE = re.compile(r"url\(#([^)]+)\)")


def inline_svg(figure: Any, name: str, description: str) -> str:
    """The figure as an <svg> element without external references; ids are prefixed with `name` to be unique.

    Text remains text, so that it can be searched and scales with the page.
    """
    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    root = ElementTree.fromstring(buffer.getvalue())
    for parent in root.iter():
        for child in [child for child in parent if _local(child.tag) == "metadata"]:
            parent.remove(child)
    for element in root.iter():
        element.tag = _local(element.tag)
        element.attrib = {_local(key): _renamed(_local(key), value, name) for key, value in element.attrib.items()}
    for size in ("width", "height"):  # set by the page from the width in inches; the view box keeps the aspect ratio
        root.attrib.pop(size, None)
    root.attrib |= {"role": "img", "aria-label": description, "style": f"--inches: {figure.get_figwidth():g}"}
    return ElementTree.tostring(root, encoding="unicode")


def notebook_svg(figure: Any, name: str, description: str) -> str:
    """The same for a notebook, no wider than the figure's size, because a notebook has no style for it."""
    return (
        f'<div style="max-width: {round(96 * figure.get_figwidth())}px">{inline_svg(figure, name, description)}</div>'
    )


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _renamed(key: str, value: str, name: str) -> str:
    if key == "id":
        return f"{name}-{value}"
    if key == "href" and value.startswith("#"):
        return f"#{name}-{value[1:]}"
    return REFERENCE.sub(rf"url(#{name}-\1)", value)
