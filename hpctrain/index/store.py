"""An index on disk: NAME.csv and NAME.json, which never disagree for a reader.

The page NAME.json names the digest of its table. A writer lays the new table beside the old one
under a name that holds its digest, replaces the page (from here on the new index is the valid one),
and then the table. A reader that finds the page ahead of the table reads the table that was laid
beside it; the next writer ends what was interrupted. So a crash leaves the old index or the new.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hpctrain.errors import DataError
from hpctrain.index.no_collections import without_collections
from hpctrain.index.table import Index, digest_of_pieces, parse_rows
from hpctrain.provenance.digest import digest_of

_AGAIN = "build it again with: hpctrain index build"


def index_paths(place: Path) -> tuple[Path, Path]:
    """CSV and JSON of an index that is named by either of them, by both, or by its folder."""
    if place.is_dir():
        place = place / "index.csv"
    if place.suffix not in (".csv", ".json"):
        place = place.with_name(place.name + ".csv")
    return place.with_suffix(".csv"), place.with_suffix(".json")


@without_collections
def load_index(place: Path, advice: str = _AGAIN) -> Index:
    """Read an index.

    Args:
        place: its CSV, its JSON, or a folder with index.csv.
        advice: what to do about an index that is wrong.

    Raises:
        DataError: missing, malformed, or altered since it was written.
    """
    csv_path, json_path = index_paths(place)
    try:
        page, raw = _read_pair(csv_path, json_path)
        columns, rows = parse_rows(raw.decode())
        digest, root = page.pop("digest"), Path(page.pop("root"))
    except OSError as e:
        raise DataError(f"{e.filename}: cannot be read: {e.strerror}; {advice}") from e
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise DataError(f"{csv_path}: malformed index ({e}); {advice}") from e
    if hashlib.sha256(raw).hexdigest() != digest:
        raise DataError(
            f"{csv_path}: altered since it was written (its digest is not that of "
            f"{json_path.name}); {advice}"
        )
    page.pop("counts", None)
    page.pop("modalities", None)
    return Index(root, rows, page, columns)


def load_altered(place: Path) -> Index:
    """Read an index whose table is not what was written, for the splits that it still has.

    Raises:
        DataError: the table is gone or torn, or only the page is; what is lost, and what to do.
    """
    csv_path, json_path = index_paths(place)
    page = load_page(place)
    try:
        if page is None:
            raise ValueError(f"{json_path.name} cannot be read")
        columns, rows = parse_rows(csv_path.read_bytes().decode())
    except (OSError, ValueError) as e:
        text = e.strerror if isinstance(e, OSError) else e
        raise DataError(
            f"{csv_path}: damaged index ({text}); nothing tells which samples were trained on, if "
            f"it was split; bring both files back from a copy, or remove {csv_path.name} and "
            f"{json_path.name}, build with --rule and split again, which gives other splits unless "
            "the command is the same and no data were added"
        ) from e
    return Index(Path(page["root"]), rows, page, columns)


def load_page(place: Path) -> dict[str, Any] | None:
    """The JSON page alone; None where there is none that can be read."""
    try:
        page = json.loads(index_paths(place)[1].read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return page if isinstance(page, dict) else None


@without_collections
def save_index(index: Index, place: Path) -> bool:
    """Write both files so that a crash leaves the old index or the new one.

    Args:
        index: what is written.
        place: as `load_index`; the folder must be there.

    Returns:
        False when the same bytes were there already, and nothing was written.
    """
    csv_path, json_path = index_paths(place)
    pieces = list(index.csv_pieces())
    digest = digest_of_pieces(pieces)
    with _locked(csv_path.parent):
        _finish(csv_path, json_path)
        page = index.page_text(digest).encode()
        if _has(json_path, page) and csv_path.is_file() and digest_of(csv_path) == digest:
            return False
        staged = _staged(csv_path, digest)
        with staged.open("wb") as f:
            f.writelines(pieces)
            _flush(f.fileno(), f)
        temporary = json_path.with_name(f".{json_path.name}.new")
        with temporary.open("wb") as f:
            f.write(page)
            _flush(f.fileno(), f)
        temporary.replace(json_path)  # from here on the new index is the valid one
        _sync_folder(csv_path.parent)
        staged.replace(csv_path)
        _sync_folder(csv_path.parent)
    return True


def digests_of(place: Path) -> list[str]:
    """sha256 of CSV and JSON as they are; empty where one of them is not there."""
    try:
        return [digest_of(path) for path in index_paths(place)]
    except OSError:
        return []


def _read_pair(csv_path: Path, json_path: Path) -> tuple[dict[str, Any], bytes]:
    """Page and table; the table that was laid beside it where a writer was interrupted."""
    csv_path.stat()  # of two missing files the table is the one to name
    for _ in range(3):  # a writer may be between its two renames right now
        page = json.loads(json_path.read_text(encoding="utf-8"))
        for path in (csv_path, _staged(csv_path, page["digest"])):
            with contextlib.suppress(FileNotFoundError):
                raw = path.read_bytes()
                if hashlib.sha256(raw).hexdigest() == page["digest"]:
                    return page, raw
    return page, csv_path.read_bytes()


def _staged(csv_path: Path, digest: object) -> Path:
    return csv_path.with_name(f".{csv_path.name}.{str(digest)[:16]}.new")


def _finish(csv_path: Path, json_path: Path) -> None:
    """End a write that was interrupted, and remove what others left behind."""
    page = load_page(json_path)
    wanted = _staged(csv_path, page.get("digest")) if page else None
    for left in csv_path.parent.glob(f".{csv_path.name}.*.new"):
        if left == wanted and page and digest_of(left) == page.get("digest"):
            left.replace(csv_path)
        else:
            left.unlink()
    json_path.with_name(f".{json_path.name}.new").unlink(missing_ok=True)


def _has(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError:
        return False


def _flush(number: int, file: Any) -> None:
    file.flush()
    os.fsync(number)


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # some network file systems cannot
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One writer at a time in a folder; without effect where the file system has no locks."""
    number = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)
