"""A stamp in a JSON page: the key `provenance`. Its content is the page without, in sorted keys."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from hpctrain.provenance.stamp import SCHEMA

PAGE_KEY = "provenance"


def split(content: bytes) -> tuple[bytes | None, bytes]:
    """The stamp's text, or None; and the rest, written in one way whatever its layout was.

    Raises:
        ValueError: it is no JSON object.
    """
    page = json.loads(content)
    if not isinstance(page, dict):
        raise ValueError("is no JSON object")
    found = page.get(PAGE_KEY)
    is_stamp = isinstance(found, dict) and "schema" in found
    return json.dumps(found).encode() if is_stamp else None, canonical(page)


def join(content: bytes, text: bytes) -> bytes:
    """The page with a stamp, which replaces an earlier one.

    Raises:
        ValueError: it is no JSON object.
    """
    page = json.loads(content)
    if not isinstance(page, dict):
        raise ValueError("is no JSON object")
    return (json.dumps({**page, PAGE_KEY: json.loads(text)}, indent=1) + "\n").encode()


def canonical(page: Mapping[str, Any]) -> bytes:
    """A page without its stamp, the same bytes for the same values."""
    rest = {key: value for key, value in page.items() if key != PAGE_KEY}
    return json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()


def zarr_stamp(page: Any) -> bytes | None:
    """The stamp's text among the attributes of a Zarr group or array, read from its JSON."""
    from hpctrain.provenance.stamp import KEY

    attributes = page.get("attributes", page) if isinstance(page, dict) else {}
    text = attributes.get(KEY) if isinstance(attributes, dict) else None
    return text.encode() if isinstance(text, str) and SCHEMA in text else None


def none_for_nan(content: Any) -> Any:
    """The same with None for what is no finite number, which JSON does not have."""
    if isinstance(content, Mapping):
        return {key: none_for_nan(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [none_for_nan(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
