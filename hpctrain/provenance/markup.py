"""A stamp in HTML and SVG: one element, of which browsers show nothing.

The stamp's text has no `<`, `>`, `&` or apostrophe (see `Stamp.text`), so that it needs no quoting
in either.
"""

from __future__ import annotations

import re

from hpctrain.provenance.stamp import KEY

_HTML = (f'<meta name="{KEY}" content=\''.encode(), b"'>\n")
_SVG = (f'<metadata id="{KEY}">'.encode(), b"</metadata>\n")


def split(content: bytes) -> tuple[bytes | None, bytes]:
    """The stamp's text, or None; and the page without it."""
    for head, tail in (_HTML, _SVG):
        start = content.find(head)
        end = content.find(tail, start)
        if start >= 0 and end >= 0:
            rest = content[:start] + content[end + len(tail) :]
            return content[start + len(head) : end], rest
    return None, content


def join(content: bytes, text: bytes) -> bytes:
    """The page with a stamp, which replaces an earlier one.

    Raises:
        ValueError: it has neither a head nor an <svg> element.
    """
    plain = split(content)[1]
    place, (head, tail) = re.search(rb"</head\s*>", plain, re.IGNORECASE), _HTML
    if place is not None:
        at = place.start()
    else:
        opening, (head, tail) = re.search(rb"<svg\b[^>]*[^/]>\n?", plain), _SVG
        if opening is None:
            raise ValueError("has neither </head> nor <svg>")
        at = opening.end()
    return plain[:at] + head + text + tail + plain[at:]
