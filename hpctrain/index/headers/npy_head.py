"""The header of an npy file, read without Python's own parser.

`ast.literal_eval`, which numpy itself uses, may fail in Python 3.11 and 3.12 where threads parse at
once (CPython issue 106905), and files are read by threads here.

Source: numpy.lib.format (npy 1.0 to 3.0): a dict of `descr`, `fortran_order` and `shape`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_ENTRY = re.compile(
    r"""\s*(?P<quote>['"])(?:
        (?P<descr>descr)(?P=quote)\s*:\s*(?:'(?P<type>[^']*)'|"(?P<type2>[^"]*)"|(?P<list>\[.*\]))
        |fortran_order(?P=quote)\s*:\s*(?P<order>True|False)
        |shape(?P=quote)\s*:\s*\((?P<shape>[\s\dL,]*)\)
    )\s*(?:,|(?=\}))""",
    re.VERBOSE | re.DOTALL,
)
_NUM_ENTRIES = 3


class NpyHead(NamedTuple):
    """What a header says.

    Attributes:
        descr: type as numpy writes it, such as `<f4`; the text of a list for a structured type.
        fortran_order: whether the first index runs fastest.
        shape: lengths of the axes.
    """

    descr: str
    fortran_order: bool
    shape: tuple[int, ...]


@lru_cache(maxsize=64)  # most files of a set have the same header
def parse_npy_head(text: bytes) -> NpyHead | None:
    """Read the dict after the magic string and the length.

    Returns:
        What it says, or None if it is malformed.
    """
    body = text.decode("latin1").strip()
    if not body.startswith("{"):
        return None
    found: dict[str, str] = {}
    at = 1
    for _ in range(_NUM_ENTRIES):
        entry = _ENTRY.match(body, at)
        if entry is None:
            return None
        groups = {name: value for name, value in entry.groupdict().items() if value is not None}
        found |= groups
        at = entry.end()
    descr = next((found[name] for name in ("type", "type2", "list") if name in found), None)
    if body[at:].strip() != "}" or descr is None or not {"order", "shape"} <= found.keys():
        return None
    try:
        shape = tuple(int(n.rstrip("Ll ")) for n in found["shape"].split(",") if n.strip())
    except ValueError:
        return None
    return NpyHead(descr, found["order"] == "True", shape)
