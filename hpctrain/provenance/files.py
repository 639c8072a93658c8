"""Stamps in files, whatever their format: put in by suffix, read by content."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from hpctrain.errors import ProvenanceError
from hpctrain.provenance import checkpoint, markup, page, png, search, sidecar
from hpctrain.provenance.digest import digest_of
from hpctrain.provenance.stamp import MOST_BYTES, NO_DIGEST, Stamp

_SEALABLE = {".nc", ".tif", ".tiff"}


@dataclass(frozen=True)
class Found:
    """A stamp that was found.

    Attributes:
        stamp: it.
        where: `inside` the file, or `beside` it.
        is_intact: whether the file's content is what was stamped; None: the format cannot tell.
    """

    stamp: Stamp
    where: str
    is_intact: bool | None


class _Format(Protocol):
    def split(self, content: bytes) -> tuple[bytes | None, bytes]: ...

    def join(self, content: bytes, text: bytes) -> bytes: ...


_BY_SUFFIX: dict[str, _Format] = {
    ".png": png,
    ".svg": markup,
    ".html": markup,
    ".htm": markup,
    ".json": page,
}


def embed(path: Path, stamp: Stamp) -> Stamp:
    """Put a stamp into a file, or beside it where its format has no place for one.

    PNG, SVG, HTML and JSON objects carry it inside; all else gets `NAME.provenance.json`. Either is
    replaced as a whole.

    Returns:
        The stamp with the digest of the content.

    Raises:
        OSError: the file cannot be read or written.
        ProvenanceError: the file is torn.
    """
    form = _BY_SUFFIX.get(path.suffix.lower())
    if form is not None:
        content = path.read_bytes()
        if form is not page or content.lstrip()[:1] == b"{":
            try:
                plain = form.split(content)[1]
                stamp = replace(stamp, content_digest=hashlib.sha256(plain).hexdigest())
                _replace(path, form.join(content, stamp.text.encode()))
            except ValueError as e:
                raise ProvenanceError(f"{path}: cannot be stamped: it {e}") from e
            return stamp
    digest, size = digest_of(path), path.stat().st_size
    stamp = replace(stamp, content_digest=digest, content_size=size)
    text = json.dumps(stamp.as_dict(), indent=1) + "\n"
    _replace(sidecar.sidecar_path(path), text.encode())
    return stamp


def stamped_page(content: dict[str, object], stamp: Stamp) -> dict[str, object]:
    """A JSON page with its stamp, for a writer that has it as values; None stands for NaN."""
    content = page.none_for_nan(content)
    # as a reader will see it: keys are text there, and tuples are lists
    plain = page.canonical(json.loads(json.dumps(content)))
    own = replace(stamp, content_digest=hashlib.sha256(plain).hexdigest())
    return {**content, page.PAGE_KEY: own.as_dict()}


def seal(path: Path) -> None:
    """Protect the content of a NetCDF 3 or TIFF file whose attributes hold a stamp.

    The stamp must have been written with `content_digest=NO_DIGEST`.

    Raises:
        ProvenanceError: it holds no such stamp.
    """
    if path.suffix.lower() not in _SEALABLE:
        raise ProvenanceError(f"{path}: only NetCDF 3 and TIFF can be sealed; use `embed`")
    try:
        search.seal(path)
    except ValueError as e:
        raise ProvenanceError(f"{path}: {e}") from e


def read(path: Path) -> Found:
    """The stamp of a file or of a Zarr folder.

    Raises:
        ProvenanceError: there is none, or it cannot be read.
    """
    try:
        found = _read_folder(path) if path.is_dir() else _read_file(path)
    except OSError as e:
        raise ProvenanceError(f"{path}: cannot be read ({e.strerror or e})") from e
    except zipfile.BadZipFile as e:
        raise ProvenanceError(f"{path}: torn or altered: {e}") from e
    except ProvenanceError as e:
        raise ProvenanceError(f"{path}: {e}") from e
    if found is None:
        raise ProvenanceError(
            f"{path}: carries no stamp of hpctrain, and has no {path.name}{sidecar.SUFFIX} beside "
            "it; give a checkpoint, figure, report or other product of a run"
        )
    return found


def read_stamp(path: Path) -> Stamp:
    """The stamp of a checkpoint without reading the checkpoint itself.

    Raises:
        ProvenanceError: there is none, or it cannot be read.
    """
    try:
        text = checkpoint.read_text(path)
        if text is not None:
            return Stamp.from_text(text)
    except (OSError, zipfile.BadZipFile, ProvenanceError) as e:
        raise ProvenanceError(f"{path}: has no stamp that can be read ({e})") from e
    raise ProvenanceError(f"{path}: has no stamp")


def _read_file(path: Path) -> Found | None:
    with path.open("rb") as file:
        head = file.read(512)
    inside: Found | None = None
    if head.startswith(b"PK\x03\x04"):
        inside = _read_checkpoint(path)
    elif head.startswith(png.MAGIC):
        inside = _read_whole(path, png)
    elif head.lstrip()[:1] == b"<":
        inside = _read_whole(path, markup)
    elif head.lstrip()[:1] == b"{" and path.stat().st_size < (64 << 20):
        inside = _read_json(path)
    if inside is not None:
        return inside
    beside = sidecar.find(path)
    if beside is not None:
        return Found(Stamp.from_text(beside[0]), "beside", beside[1])
    if head.startswith(b"PK\x03\x04"):
        return None
    return _read_amid(path)


def _read_checkpoint(path: Path) -> Found | None:
    text = checkpoint.read_text(path)
    if text is None:
        return None
    stamp = Stamp.from_text(text)
    digest = digest_of(path, stamp.content_size)
    return Found(stamp, "inside", digest == stamp.content_digest)


def _read_whole(path: Path, form: _Format) -> Found | None:
    try:
        text, plain = form.split(path.read_bytes())
    except (ValueError, RecursionError) as e:
        raise ProvenanceError(str(e)) from e
    if text is None:
        return None
    if len(text) > MOST_BYTES:
        raise ProvenanceError("its stamp is too large to be one")
    stamp = Stamp.from_text(text)
    return Found(stamp, "inside", hashlib.sha256(plain).hexdigest() == stamp.content_digest)


def _read_json(path: Path) -> Found | None:
    try:
        return _read_whole(path, page)
    except ProvenanceError:
        content = path.read_bytes()
        with suppress(ValueError, RecursionError):
            json.loads(content)
            raise  # JSON, with a stamp that is wrong
        return None  # no JSON at all


def _read_amid(path: Path) -> Found | None:
    found = search.find(path)
    if found is None:
        return None
    stamp = Stamp.from_text(found[0])
    if stamp.content_digest in ("", NO_DIGEST):
        return Found(stamp, "inside", None)
    digest = search.content_digest(path, *found)
    return Found(stamp, "inside", digest == stamp.content_digest)


def _read_folder(path: Path) -> Found | None:
    for name in ("zarr.json", ".zattrs"):
        with suppress(FileNotFoundError, ValueError, RecursionError):
            text = page.zarr_stamp(json.loads((path / name).read_bytes()))
            if text is not None:
                return Found(Stamp.from_text(text), "inside", None)
    return None


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
