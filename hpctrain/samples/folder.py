"""A folder of sample files with a data card: complete, or left alone.

Names are paths below the folder, with slashes.
"""

from __future__ import annotations

import filecmp
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from hpctrain.errors import ConfigError
from hpctrain.provenance.digest import digest_of

CARD = "DATA_CARD.md"
"""Its head says what was asked for, its end lists the files' digests; written last."""


LICENCE = [
    "## Licence",
    "",
    "Public domain (CC0 1.0). All of it was computed; nothing was taken from measured data.",
    "",
]

Progress = Callable[[str], None]


def write(
    out: Path,
    names: Sequence[str],
    head: str,
    make: Callable[[Path], list[str]],
    progress: Progress,
) -> list[Path]:
    """Have a sample made, and put it in place once it is whole.

    Nothing is computed where the same sample is already there, complete and unaltered.

    Args:
        out: folder, made if need be.
        names: all files, paths below the folder.
        head: how the card begins; it follows from the parameters alone.
        make: writes all files below a folder, and gives the card's lines about them.
        progress: is told a line at a time.

    Returns:
        The files in the order of `names`.

    Raises:
        ConfigError: the folder holds something else.
    """
    files = [out / name for name in names]
    if is_complete(out, names, head):
        progress(f"{out}: all {len(names)} files are there, unaltered")
        return files
    refuse_other_content(out, names, head)
    out.mkdir(parents=True, exist_ok=True)
    # In the same folder, so that moving a finished file is one rename.
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=out) as scratch:
        found = make(Path(scratch))
        card = [head, *found, *LICENCE, *digest_lines(Path(scratch), names)]
        (Path(scratch) / CARD).write_text("\n".join(card))
        move_all(Path(scratch), out, names)
    return files


def digest_lines(folder: Path, names: Sequence[str]) -> list[str]:
    """The card's last section, in the form that `sha256sum --check` reads."""
    listed = [f"{digest_of(folder / name)}  {name}" for name in names]
    return ["## sha256", "", "```", *listed, "```", ""]


def is_complete(out: Path, names: Sequence[str], head: str) -> bool:
    """Whether a folder holds all files, as its card lists them.

    Args:
        out: the folder, which need not exist.
        names: the files' names.
        head: how the card begins if it is of the same sample.

    Raises:
        ConfigError: a file is there, but not the one that was listed.
    """
    card = out / CARD
    if not card.is_file() or not card.read_text().startswith(head):
        return False
    lines = re.findall(r"^([0-9a-f]{64})  (\S+)$", card.read_text(), re.MULTILINE)
    listed = {name: digest for digest, name in lines}
    present = [name for name in names if (out / name).is_file()]
    for name in present:
        if digest_of(out / name) != listed.get(name):
            raise ConfigError(
                f"{out / name}: is not the file that {CARD} lists; remove it to have it made again"
            )
    return len(present) == len(names)


def refuse_other_content(out: Path, names: Sequence[str], head: str) -> None:
    """Leave folders alone that hold anything but a part of this sample.

    Args:
        out: the folder, which need not exist.
        names: the files' names.
        head: how the card begins if it is of the same sample.

    Raises:
        ConfigError: it holds something else.
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise ConfigError(f"{out}: is a file; give a folder")
    card = out / CARD
    if card.is_file() and not card.read_text().startswith(head):
        raise ConfigError(
            f"{out}: holds a sample of other parameters or of another version, see {CARD}; "
            "choose another folder or empty this one"
        )
    others = set(_files(out)) - {CARD, *names}
    if others:
        raise ConfigError(
            f"{out}: holds {min(others)!r}, which is not of this sample; "
            "choose another folder or empty this one"
        )


def _files(out: Path) -> Iterator[str]:
    """Names of all files; none that begin with a dot: what a killed run left, version control."""
    for root, folders, files in os.walk(out):
        folders[:] = [name for name in folders if name[0] != "."]
        for name in files:
            if name[0] != ".":
                yield (Path(root) / name).relative_to(out).as_posix()


def move_all(scratch: Path, out: Path, names: Sequence[str]) -> None:
    """Move finished files in place, the card last; keep those that are there and the same.

    Args:
        scratch: folder with all files and the card, on the same file system.
        out: where they go.
        names: the files' names.

    Raises:
        ConfigError: a file of that name is there and differs; nothing was moved.
    """
    there = [name for name in names if (out / name).exists()]
    for name in there:
        if not filecmp.cmp(scratch / name, out / name, shallow=False):
            raise ConfigError(
                f"{out / name}: is there already and differs from what was made; "
                "choose another folder or remove it"
            )
    for name in names:
        if name not in there:
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(scratch / name, out / name)
    os.replace(scratch / CARD, out / CARD)
