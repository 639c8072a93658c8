"""What makes an image beside the text of its definition, as one digest."""

from __future__ import annotations

import glob
import hashlib
import os
import platform
import re
import secrets
import shlex
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hpctrain.container.cache import base_digest
from hpctrain.container.layers import sections
from hpctrain.errors import ImageError

_ARGUMENT = re.compile(r"\{\{\s*(\w+)\s*\}\}")


def digest_of_inputs(
    text: str, folder: Path, binds: Sequence[str] = (), env: Mapping[str, str] | None = None
) -> str:
    """Digest of the base, the files that are copied in, and what this machine lends.

    Variables count by name and value, of which only this digest is kept, as they may be secrets.
    Binds count by their words alone: mirrors are large, and change without changing an image.

    Args:
        text: the definition.
        folder: where its relative paths start.
        binds: SOURCE[:TARGET] of this machine, there while it is built.
        env: variables while it is built.

    Raises:
        ImageError: the image that the definition begins with is not here.
    """
    lent = sorted(f"{name}={value}" for name, value in (env or {}).items())
    copied = [part for word in _copied(text) for part in _content(word, folder)]
    parts = [_base(text, folder), platform.machine(), *_counted(binds), *_counted(lent), *copied]
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def _counted(words: Sequence[str]) -> list[str]:
    return [str(len(words)), *words]


def _base(text: str, folder: Path) -> str:
    """Of the local image that a definition begins with; nothing where it begins elsewhere."""
    match = re.search(r"^bootstrap\s*:\s*localimage\b", text, re.IGNORECASE | re.MULTILINE)
    source = re.search(r"^from\s*:\s*(.+)$", text, re.IGNORECASE | re.MULTILINE)
    if not match or not source:
        return ""
    path = folder / source[1].strip()
    if not path.exists():
        raise ImageError(
            f"{path}: no such image; it is what the definition begins with (From:): give a file or "
            "folder that is here, with --base or in the definition"
        )
    return base_digest(path)


def _copied(text: str) -> Iterator[str]:
    """Sources of %files on this machine, as written, with the defaults of %arguments."""
    found = sections(text)[1]
    given = [
        line.strip().partition("=") for name, own in found if name == "arguments" for line in own
    ]
    defaults = {name: value for name, equals, value in given if equals}
    for name, (title, *lines) in found:
        if name != "files" or re.match(r"%files\s+from\b", title):
            continue  # of another stage, whose own text counts
        for line in lines:
            if not line.strip() or line.strip().startswith("#"):
                continue
            filled = _ARGUMENT.sub(lambda m: defaults.get(m[1], m[0]), line)
            try:
                yield shlex.split(filled)[0]
            except ValueError:
                yield filled.strip()


def _content(word: str, folder: Path) -> Iterator[str]:
    """Names, rights and digests of what a source of %files stands for, links followed."""
    try:
        paths = sorted(glob.glob(os.path.join(glob.escape(str(folder)), os.path.expandvars(word))))
        for path in paths:
            for name in _walk(path):
                mode = os.stat(name).st_mode
                yield f"{os.path.relpath(name, folder)} {mode:o}"
                yield base_digest(Path(name)) if stat.S_ISREG(mode) else ""
    except OSError:
        paths = []
    if not paths:
        # nobody knows what the engine will take for it: such a layer is built each time
        yield f"{word} {secrets.token_hex()}"


def _walk(path: str) -> Iterator[str]:
    """A file, or all of a folder, each folder once, as links may go in a circle."""
    yield path
    seen: set[tuple[int, int]] = set()
    for root, folders, files in os.walk(path, followlinks=True):
        own = os.stat(root)
        if (own.st_dev, own.st_ino) in seen:
            folders.clear()
            continue
        seen.add((own.st_dev, own.st_ino))
        folders.sort()
        yield from (os.path.join(root, name) for name in sorted([*folders, *files]))
