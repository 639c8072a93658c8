"""One page about the embeddings of a store: maps to move in, numbers, and figures.

It asks the network for nothing. Points and figures are inside it; sheets of thumbnails lie beside
it in `tiles/`, and are loaded when they are pointed at.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from hpctrain.analysis.embeddings.blocks import Array
from hpctrain.analysis.embeddings.classify import Labels
from hpctrain.analysis.embeddings.palette import CLASSES, UNKNOWN

TEMPLATE = "page.html.j2"
_RANGE = 32000
"""Places are whole numbers from minus this to this."""


@dataclass(frozen=True)
class Content:
    """What the page shows."""

    title: str
    sentence: str
    ids: Sequence[str]
    """(M,) of the points."""
    maps: Mapping[str, Mapping[str, Array]]
    """(M, 2) by map and branch."""
    labels: Sequence[Labels]
    """Colours; codes (M,)."""
    tables: Sequence[Mapping[str, Any]]
    """`title`, `head` and `rows` of cells, and a `note`."""
    figures: Sequence[tuple[str, Path]]
    """Titles and PNG files."""
    tiles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Of each branch, see `write_tiles`."""


def write_page(path: Path, content: Content) -> None:
    """Write the page as a whole.

    Args:
        path: where; `tiles/` lies beside it.
        content: what it shows.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template(TEMPLATE).render(
        content=content,
        data=_json(_data(content)),
        figures=[{"title": t, "uri": _uri(p)} for t, p in content.figures],
    )
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _data(content: Content) -> dict[str, Any]:
    """What the program of the page reads."""
    branches = dict.fromkeys(name for own in content.maps.values() for name in own)
    return {
        "branches": list(branches),
        "ids": list(content.ids),
        "maps": [{"name": name, "parts": _places(own)} for name, own in content.maps.items()],
        "columns": [
            {
                "name": own.name,
                "values": list(own.values),
                "codes": _text(own.codes.astype("<i2")),
            }
            for own in content.labels
        ],
        "tiles": dict(content.tiles),
        "colors": list(CLASSES),
        "unknown": UNKNOWN,
    }


def _places(parts: Mapping[str, Array]) -> dict[str, str]:
    """Places of all branches on one scale, as 16-bit numbers x, y, x, y."""
    together = np.concatenate(list(parts.values())) if parts else np.zeros((0, 2))
    low, high = together.min(axis=0), together.max(axis=0)
    half = float((high - low).max()) / 2 or 1.0
    return {
        name: _text(((own - (low + high) / 2) / half * _RANGE).round().astype("<i2"))
        for name, own in parts.items()
    }


def _text(numbers: Array) -> str:
    return base64.b64encode(np.ascontiguousarray(numbers).tobytes()).decode()


def _json(data: Any) -> Markup:
    """JSON that cannot end its element, whatever names are in it."""
    text = json.dumps(data, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(text)  # noqa: S704 - what HTML would read is escaped above


def _uri(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
