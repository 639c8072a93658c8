"""Checkpoints that are whole or not there: written aside, synced, renamed, verified on loading."""

from __future__ import annotations

import hashlib
import json
import math
import os
import pickle
import re
import shutil
import zipfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from hpctrain.errors import CheckpointError
from hpctrain.log import logger
from hpctrain.provenance import Stamp
from hpctrain.provenance.checkpoint import Hashing, append, is_whole
from hpctrain.train.json_file import write_json

VERSION = 1
_NAME = re.compile(r"state_(\d+)(?:_step_(\d+))?\.pt")

_NEXT_BEST = ".best.pt.tmp"
_TAIL_BYTES = 64 << 10


class CheckpointFolder:
    """The folder `checkpoints/` of a run.

    `state_3.pt` is the state after three epochs, `state_3_step_40.pt` that after 40 more steps;
    the link `latest` names the newest. `best.pt` is the best by a number of the validation, which
    best.json gives.
    """

    def __init__(self, path: Path, keep_last: int, keep_every: int | None = None) -> None:
        """Name the folder.

        Args:
            path: where it is, or will be.
            keep_last: how many of the newest of each kind are kept.
            keep_every: of which epochs' ends all are kept; None: of none.
        """
        self.path = path
        self.keep_last, self.keep_every = keep_last, keep_every

    def names(self) -> list[str]:
        """Checkpoints from the oldest to the newest."""
        if not self.path.is_dir():
            return []
        found = [m for entry in os.listdir(self.path) if (m := _NAME.fullmatch(entry))]
        found.sort(key=lambda m: (int(m[1]), int(m[2] or 0)))
        return [m[0] for m in found]

    def save(
        self, state: dict[str, Any], epoch: int, step: int, stamp: Stamp | None = None
    ) -> tuple[str, str]:
        """Write the state after `epoch` epochs and `step` steps.

        Args:
            state: what to write.
            epoch: names the file.
            step: likewise.
            stamp: what the file says of where it is from; gets the content's digest.

        Returns:
            The file's name, and sha256 of what torch wrote.

        Raises:
            CheckpointError: the file cannot be written; the older ones are untouched.
        """
        name = f"state_{epoch}_step_{step}.pt" if step else f"state_{epoch}.pt"
        temporary = self.path / f".{name}.tmp"
        try:
            self.path.mkdir(exist_ok=True)
            self._clear()
            with open(temporary, "w+b") as file:
                # a Python file: its writes let the training's thread run, torch's own do not
                hashing = Hashing(file)
                whole = {"version": VERSION, **state}
                torch.save(whole, hashing)  # type: ignore[arg-type] # it writes and flushes
                if stamp is not None:
                    own = replace(stamp, content_digest=hashing.digest, content_size=hashing.size)
                    append(file, own.text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path / name)
            self._link(name)
        except (OSError, RuntimeError) as e:  # torch reports a full disk as RuntimeError
            temporary.unlink(missing_ok=True)
            older = self.names()
            raise CheckpointError(
                f"{self.path / name}: cannot be written ({_cause(e)}); "
                + (f"the newest whole checkpoint is {older[-1]}; " if older else "")
                + "make room and start the run again"
            ) from e
        self._prune()
        return name, hashing.digest

    def load_newest(self) -> tuple[str, dict[str, Any]] | None:
        """Name and state of the newest checkpoint that is whole, or None at a fresh start.

        Raises:
            CheckpointError: there are checkpoints, but none is whole.
        """
        self._mend_best()
        names = self.names()
        for name in reversed(names):
            try:
                return name, load(self.path / name)
            except CheckpointError as e:
                logger.warning("%s; trying the one before it", e)
        if names:
            raise CheckpointError(
                f"{self.path}: none of {len(names)} checkpoints is whole; "
                "restore one, or empty the folder to begin anew"
            )
        return None

    def best(self) -> dict[str, Any] | None:
        """What best.json says: metric, value and epoch of best.pt; None without one."""
        try:
            found = json.loads((self.path / "best.json").read_text())
            known = {"metric": str(found["metric"]), "value": float(found["value"])}
            return {**known, "epoch": int(found["epoch"])}
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def keep_best(self, epoch: int, metric: str, value: float, *, is_rising: bool = False) -> bool:
        """Keep the state after an epoch as best.pt, if its value is better than the best one's.

        The file is another name of the same bytes where the file system has such, else a copy.

        Args:
            epoch: that was validated.
            metric: by which; another one than before begins anew.
            value: what was measured; smaller is better.
            is_rising: larger is better.

        Returns:
            Whether it is the best.

        Raises:
            CheckpointError: it cannot be kept.
        """
        source, known = self.path / f"state_{epoch}.pt", self._known_best()
        sign = -1 if is_rising else 1
        is_worse = (
            known is not None
            and known["metric"] == metric
            and sign * known["value"] <= sign * value
        )
        if not math.isfinite(value) or not source.is_file():
            return False
        if is_worse and (self.path / "best.pt").is_file():
            return False
        temporary = self.path / _NEXT_BEST
        try:
            temporary.unlink(missing_ok=True)
            try:
                os.link(source, temporary)
            except OSError:
                shutil.copyfile(source, temporary)
                with temporary.open("rb") as file:
                    os.fsync(file.fileno())
            facts = {"metric": metric, "value": value, "epoch": epoch}
            # from here on a killed run finds the file that best.json tells of, see _mend_best
            write_json(self.path / "best.json", {**facts, "tail": _tail_digest(temporary)})
            temporary.replace(self.path / "best.pt")
            self._sync()
        except OSError as e:
            raise CheckpointError(
                f"{self.path / 'best.pt'}: cannot be written ({_cause(e)}); make room and start "
                "the run again"
            ) from e
        return True

    def _known_best(self) -> dict[str, Any] | None:
        """As `best`; None also where best.pt is another file than best.json tells of."""
        if self._mend_best():
            return self.best()
        logger.warning(
            "%s is not the file that best.json tells of; the next validated epoch takes its place",
            self.path / "best.pt",
        )
        return None

    def _mend_best(self) -> bool:
        """Finish what a kill has interrupted; returns whether best.pt and best.json agree."""
        try:
            tail = json.loads((self.path / "best.json").read_text())["tail"]
        except (OSError, ValueError, LookupError, TypeError):
            return True  # there is none, or one of an older version
        with suppress(OSError):
            if _tail_digest(self.path / "best.pt") == tail:
                return True
        with suppress(OSError):
            if _tail_digest(self.path / _NEXT_BEST) == tail:
                (self.path / _NEXT_BEST).replace(self.path / "best.pt")
                return True
        return False

    def _prune(self) -> None:
        """Keep the newest of both kinds, so that frequent ones never push out those of epochs."""
        names = self.names()
        for of_kind in (
            [n for n in names if "_step_" in n],
            [n for n in names if "_step_" not in n],
        ):
            for old in of_kind[: -self.keep_last]:
                if not self._is_for_good(old):
                    (self.path / old).unlink()

    def _is_for_good(self, name: str) -> bool:
        match = _NAME.fullmatch(name)
        if self.keep_every is None or match is None or match[2]:
            return False
        return int(match[1]) % self.keep_every == 0

    def _clear(self) -> None:
        """Take away what a killed write has left."""
        for left in self.path.glob(".state_*.tmp"):
            with suppress(OSError):
                left.unlink()

    def load(self, name: str) -> dict[str, Any]:
        """State of the checkpoint `name`; see `load`."""
        return load(self.path / name)

    def _link(self, name: str) -> None:
        link = self.path / ".latest.tmp"
        link.unlink(missing_ok=True)
        link.symlink_to(name)
        link.replace(self.path / "latest")
        self._sync()

    def _sync(self) -> None:
        folder = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(folder)  # the renames themselves
        finally:
            os.close(folder)


def _tail_digest(path: Path) -> str:
    """sha256 of a checkpoint's end, where the stamp and the checksums of its records are.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
        return hashlib.sha256(file.read()).hexdigest()


def load(path: Path) -> dict[str, Any]:
    """Read and verify one checkpoint; nothing in it is executed.

    Raises:
        CheckpointError: the file is torn, altered, or of a newer version.
    """
    try:
        if not is_whole(path):
            raise CheckpointError(f"{path}: torn: its last bytes are missing")
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()  # CRC-32 of every record
        if broken:
            raise CheckpointError(f"{path}: altered or torn: the digest of {broken} does not match")
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except (
        OSError,
        RuntimeError,
        ValueError,
        KeyError,
        EOFError,
        NotImplementedError,
        zipfile.BadZipFile,
        pickle.UnpicklingError,
    ) as e:
        raise CheckpointError(f"{path}: torn or not a checkpoint ({_cause(e)})") from e
    if not isinstance(state, dict) or "version" not in state:
        raise CheckpointError(f"{path}: holds no training of hpctrain; move it out of the folder")
    if state["version"] > VERSION:
        raise CheckpointError(
            f"{path}: written by a newer hpctrain; this one reads versions up to {VERSION}"
        )
    return state


def _cause(error: BaseException) -> str:
    """First line of an error; of a full disk, the system's own words."""
    cause = error
    while cause.__context__ is not None:
        cause = cause.__context__
    text = str(cause if isinstance(cause, OSError) else error)
    return text.splitlines()[0] if text else type(error).__name__
