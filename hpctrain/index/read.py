"""Read the index that was frozen into a run directory, and compare it with the files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from hpctrain.errors import DataError
from hpctrain.index.digests import digests
from hpctrain.index.table import SEPARATOR, Index, parse_rows


def read_index(run_dir: Path) -> Index:
    """The index of a run directory.

    Raises:
        DataError: missing, malformed, or altered since it was written.
    """
    csv_path, json_path = run_dir / "index.csv", run_dir / "index.json"
    try:
        # newline="" keeps the bytes as they are, so that the digest is that of the file.
        with csv_path.open(newline="") as f:
            text = f.read()
        page = json.loads(json_path.read_text())
        rows, digest, root = parse_rows(text), page.pop("digest"), Path(page.pop("root"))
    except OSError as e:
        raise DataError(f"{e.filename}: cannot be read: {e.strerror}; render the job again") from e
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise DataError(f"{run_dir}: malformed index ({e}); render the job again") from e
    if hashlib.sha256(text.encode()).hexdigest() != digest:
        raise DataError(
            f"{csv_path}: altered since it was written (its digest is not that of index.json); "
            "render the job again"
        )
    page.pop("counts", None)
    return Index(root, rows, page)


def verify_index(index: Index, content: bool = False) -> None:
    """Compare the used files with their rows: sizes, and with `content` also digests.

    Raises:
        DataError: the first file that is missing or not the one that was indexed.
    """
    for row in index.rows:
        if row.status == "ok":
            _verify(index.root, row.targets, row.target_size, row.target_sha256, content)
            _verify(index.root, row.inputs, row.input_size, row.input_sha256, content)


def _verify(root: Path, names: tuple[str, ...], sizes: str, sums: str, content: bool) -> None:
    for name, size, digest in zip(
        names, sizes.split(SEPARATOR), sums.split(SEPARATOR), strict=False
    ):
        path = root / name
        try:
            found = path.stat().st_size
        except OSError as e:
            raise DataError(f"{path}: cannot be read: {e.strerror}; it was there at render") from e
        if found != int(size):
            raise DataError(
                f"{path}: {found} bytes, {size} when the job was rendered; restore the file or "
                "render the job again"
            )
        if content and digests([path])[path] != digest:
            raise DataError(
                f"{path}: content has changed since the job was rendered; restore the file or "
                "render the job again"
            )
