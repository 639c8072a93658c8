"""Moves files of bad samples to bad_pairs/ below the root, and back; never over another file.

Before anything is moved, all moves are written to a journal and flushed. One move is a hard link at
the new place, then the removal of the old name, so that the file is never missing; one that was
interrupted between the two has two names for the same file, which tells what is left to do. Where
a file system has no hard links, and for folders, it is a rename after a look at the new place.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hpctrain.errors import DataError
from hpctrain.index.pairing.items import BAD
from hpctrain.index.table import Index

JOURNAL = f"{BAD}.moves.jsonl"
"""All moves that were begun, below the root: a line each, the last of a file counts."""


class Move(NamedTuple):
    """One file or folder; paths below the root."""

    source: str
    target: str


def move_bad(index: Index) -> int:
    """Move the files of bad samples to bad_pairs/, keeping their paths below it.

    Files that a usable sample has, too, stay, and so do links, which may be relative. The index
    must be built again afterwards.

    Returns:
        How many were moved.

    Raises:
        DataError: a file is at the new place already, or cannot be moved. What was moved by then
            stays moved; the same call goes on, `restore_bad` undoes it.
    """
    root = index.root
    modalities = index.columns.modalities
    bad: dict[str, None] = {}
    used: set[str] = set()
    for row in index.rows:
        paths = [path.rstrip("/") for name in modalities for path in row.paths(name)]
        if row.status == "bad":
            bad.update(dict.fromkeys(paths))
        else:
            used.update(paths)
    moves = [
        Move(p, BAD + p)
        for p in bad
        if p not in used and not p.startswith(BAD) and not (root / p).is_symlink()
    ]
    with _locked(root):
        recover(root)
        _check_free(root, moves)
        _write_journal(root, moves)
        for move in moves:
            _move(root, move.source, move.target)
    return len(moves)


def restore_bad(root: Path) -> int:
    """Move back what `move_bad` moved; what others put into bad_pairs/ stays.

    Returns:
        How many were moved back.

    Raises:
        DataError: another file is at the old place, or a file cannot be moved.
    """
    if not (root / JOURNAL).is_file():
        return 0
    with _locked(root):
        recover(root)
        moved = [m for m in _journal(root) if os.path.lexists(root / m.target)]
        back = [Move(m.target, m.source) for m in moved]
        _check_free(root, back)
        for move in back:
            _move(root, move.source, move.target)
        (root / JOURNAL).unlink()
        _remove_empty(root, [m.target for m in moved])
    return len(back)


def recover(root: Path) -> int:
    """End moves that were interrupted half way; returns how many there were."""
    found = 0
    for move in _journal(root):
        source, target = root / move.source, root / move.target
        if _is_same(source, target):
            source.unlink()
            found += 1
    return found


def has_moves(root: Path) -> bool:
    """Whether anything was moved and not moved back."""
    return (root / JOURNAL).is_file()


def _journal(root: Path) -> list[Move]:
    """All moves, each file once; a torn last line belongs to a move that was not begun."""
    try:
        lines = (root / JOURNAL).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    moves: dict[str, Move] = {}
    for line in lines:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            page = json.loads(line)
            moves[page["source"]] = Move(page["source"], page["target"])
    return list(moves.values())


def _write_journal(root: Path, moves: list[Move]) -> None:
    if not moves:
        return
    path = root / JOURNAL
    path.parent.mkdir(exist_ok=True)
    with path.open("ab+") as f:
        f.seek(0, os.SEEK_END)
        if f.tell():
            f.seek(-1, os.SEEK_END)
            if f.read(1) != b"\n":
                f.write(b"\n")
        f.write("".join(json.dumps(m._asdict()) + "\n" for m in moves).encode())
        f.flush()
        os.fsync(f.fileno())


def _check_free(root: Path, moves: list[Move]) -> None:
    taken = [m.target for m in moves if os.path.lexists(root / m.target)]
    if taken:
        more = f" and {len(taken) - 5} more" if len(taken) > 5 else ""
        raise DataError(
            f"{root}: nothing was moved, as there is a file already: {', '.join(taken[:5])}{more}; "
            "move it away, or delete it if it is not needed"
        )


def _move(root: Path, source: str, target: str) -> None:
    old, new = root / source, root / target
    try:
        new.parent.mkdir(parents=True, exist_ok=True)
        if old.is_dir() and not old.is_symlink():
            _rename(old, new)
            return
        if _linked(old, new):
            old.unlink()
        else:
            _rename(old, new)
    except OSError as e:
        raise DataError(
            f"{old}: cannot be moved to {new}: {e.strerror}; mend this and run the same command "
            "again, or move everything back with --restore-bad"
        ) from e


def _linked(old: Path, new: Path) -> bool:
    """Give a file a second name; False where the file system has no hard links."""
    try:
        os.link(old, new, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:
        return False
    return True


def _rename(old: Path, new: Path) -> None:
    if os.path.lexists(new):
        raise FileExistsError(17, "there is a file already", str(new))
    old.rename(new)


def _is_same(a: Path, b: Path) -> bool:
    """Whether both are names of one file; folders have no second name."""
    try:
        one, two = os.lstat(a), os.lstat(b)
    except OSError:
        return False
    return (one.st_dev, one.st_ino) == (two.st_dev, two.st_ino) and one.st_nlink > 1


def _remove_empty(root: Path, targets: list[str]) -> None:
    folders = {parent for t in targets for parent in Path(t).parents if str(parent) != "."}
    for folder in sorted(folders, key=lambda p: len(p.parts), reverse=True):
        with contextlib.suppress(OSError):  # not empty: others keep files there
            (root / folder).rmdir()


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    """One at a time below a root."""
    number = os.open(root, os.O_RDONLY)
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            raise DataError(f"{root}: files are being moved by another command; wait for it") from e
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(number)
