"""A definition as layers: parts that are built one on another, each kept under its digest."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hpctrain.errors import ImageError

MARK = re.compile(r"^\s*#:layer\s+(?P<name>[a-z0-9_-]+)\s*$")
_SECTION = re.compile(r"^%(?P<name>[a-z]+)\b.*$")
_EARLY = ("setup", "files", "arguments", "pre")
"""Sections that belong to the first layer; the others of the definition belong to the last."""


@dataclass(frozen=True)
class Layer:
    """One part of a definition.

    Attributes:
        name: as the definition marks it.
        header: what the definition begins with; None: the layer before.
        body: its sections.
        digest: SHA-256 over everything that makes this layer and those below, shortened.
    """

    name: str
    header: str | None
    body: str
    digest: str

    def text(self, below: Path | None, binds: Sequence[str] = ()) -> str:
        """A definition of this layer alone.

        Args:
            below: image of the layer before.
            binds: places inside the image that have to be there for mounts, as DIRECTORY/ or FILE.
        """
        header = self.header or f"Bootstrap: localimage\nFrom: {below}\n"
        return f"{header}\n{_mount_points(binds)}{self.body}"


def split(text: str, base_digest: str = "") -> list[Layer]:
    """Cut a definition where `#:layer NAME` stands in %post; without marks it is one layer.

    Args:
        text: the definition.
        base_digest: of what makes the first layer beside the text, see `inputs`.

    Raises:
        ImageError: it is no definition.
    """
    header, found = sections(text)
    if not re.search(r"^bootstrap\s*:", header, re.IGNORECASE | re.MULTILINE):
        raise ImageError("a definition begins with `Bootstrap: ...`, and this text does not")
    post = [lines for name, lines in found if name == "post"]
    marks = [i for i, line in enumerate(post[0]) if MARK.match(line)] if len(post) == 1 else []
    if not marks:
        return _digested([("image", header, text.removeprefix(header))], base_digest)
    title, *lines = post[0]
    preamble, ends = lines[: marks[0] - 1], [*marks[1:], len(post[0])]
    parts: list[tuple[str, str | None, str]] = []
    for i, (begin, end) in enumerate(zip(marks, ends, strict=True)):
        match = MARK.match(post[0][begin])
        name = match["name"] if match else ""
        body = [line for n, own in found if n in _EARLY and i == 0 for line in own]
        body += [title, *preamble, *post[0][begin + 1 : end]]
        if i == len(marks) - 1:
            rest = [own for n, own in found if n not in (*_EARLY, "post")]
            body += [line for own in rest for line in own]
        parts.append((name, header if i == 0 else None, "".join(body)))
    return _digested(parts, base_digest)


def sections(text: str) -> tuple[str, list[tuple[str, list[str]]]]:
    """The header and each section with its lines, its title the first of them."""
    header: list[str] = []
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines(keepends=True):
        if match := _SECTION.match(line):
            found.append((match["name"], [line]))
        elif found:
            found[-1][1].append(line)
        else:
            header.append(line)
    return "".join(header), found


def _digested(parts: Sequence[tuple[str, str | None, str]], base_digest: str) -> list[Layer]:
    below, layers = base_digest, []
    for name, header, body in parts:
        # comments of the header, such as a job's name, make no other image
        facts = re.sub(r"^\s*#.*\n?", "", header or "", flags=re.MULTILINE).strip()
        below = hashlib.sha256("\0".join([below, facts, body]).encode()).hexdigest()[:16]
        layers.append(Layer(name, header, body, below))
    return layers


def _mount_points(binds: Sequence[str]) -> str:
    """A %setup that makes places to mount on; Apptainer makes none in an image it writes."""
    if not binds:
        return ""
    lines = ["%setup\n"]
    for place in binds:
        folder, quoted = place.rstrip("/"), place.rstrip("/").replace("'", "'\\''")
        root = '"${APPTAINER_ROOTFS:-$SINGULARITY_ROOTFS}"'
        if place.endswith("/"):
            lines.append(f"    mkdir -p {root}'{quoted}'\n")
        else:
            parent = str(Path(folder).parent).replace("'", "'\\''")
            lines.append(f"    mkdir -p {root}'{parent}'\n")
            lines.append(f"    [ -e {root}'{quoted}' ] || : >{root}'{quoted}'\n")
    return "".join(lines) + "\n"
