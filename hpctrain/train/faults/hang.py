"""What ranks that hang tell each other through files in logs/, and what it means together."""

from __future__ import annotations

import json
import os
import sys
import sysconfig
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any

from hpctrain import comm
from hpctrain.comm import Ranks
from hpctrain.log import logger

_COMM = str(Path(comm.__file__).parent)
_LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "platlib", "purelib"))
_GATHER_S = 6.0


@dataclass(frozen=True)
class Sign:
    """Where one rank was when the job was found to hang."""

    rank: int
    host: str
    stage: str
    epoch: int
    step: int
    seconds: float
    place: str
    is_waiting: bool
    """It waits in an exchange with the other ranks."""

    def __str__(self) -> str:
        doing = "waits for other ranks" if self.is_waiting else "hangs"
        return (
            f"rank {self.rank} on {self.host} {doing} in epoch {self.epoch}, step {self.step} "
            f"({self.stage}, for {self.seconds:.0f} s) at {self.place}"
        )


class Board:
    """Small files in logs/: signs of a hang, and of ranks that are busy with something slow.

    Nothing is written before a rank has been in one stage for half of what a step is allowed.
    """

    def __init__(self, logs: Path, ranks: Ranks) -> None:
        self._logs, self._rank, self._ranks = logs, ranks.rank, ranks
        self._launch = os.environ.get("HPCTRAIN_LAUNCH_ID", "0")
        self._is_busy = False
        self._remove("hang", "busy")
        self._stacks: IO[str] | None = None
        self._head = f"{ranks} start {self._launch}\n"

    def open_stacks(self) -> IO[str]:
        """The file for this rank's stacks, to be written even where Python cannot run.

        Where the disk is full, or cannot be written, it is the error output.
        """
        path = self._logs / f"stacks-{self._rank}.txt"
        try:
            self._stacks = path.open("w")
            self._stacks.write(self._head)
            self._stacks.flush()
        except OSError as e:
            logger.warning(
                "%s: cannot be written (%s); a hang is told in the log", path, e.strerror
            )
            return sys.stderr
        return self._stacks

    def close(self) -> None:
        """Take away what tells nothing."""
        self._remove("hang", "busy")
        if self._stacks is not None:
            with suppress(OSError):
                self._stacks.close()
                path = Path(self._stacks.name)
                if path.stat().st_size <= len(self._head.encode()):
                    path.unlink()

    def say_busy(self, doing: str) -> None:
        """Tell the others that this rank does something that may last; call again and again."""
        self._write("busy", {"doing": doing})
        self._is_busy = True

    def clear_busy(self) -> None:
        """What lasted is over."""
        if self._is_busy:
            self._is_busy = False
            self._remove("busy")

    def busy(self) -> dict[int, str]:
        """What other ranks are busy with."""
        return {rank: note["doing"] for rank, note in self._read("busy").items()}

    def has_alarm(self) -> bool:
        """Whether a rank has found that it hangs."""
        return bool(self._read("hang"))

    def write_sign(self, sign: Sign) -> None:
        """Leave this rank's sign for the others."""
        self._write("hang", asdict(sign))

    def gather(self, world_size: int) -> dict[int, Sign]:
        """Signs of all ranks, or of those that can still leave one."""
        end = time.monotonic() + _GATHER_S
        while len(notes := self._read("hang")) < world_size and time.monotonic() < end:
            time.sleep(0.1)
        return {rank: Sign(**note) for rank, note in sorted(notes.items())}

    def _write(self, kind: str, note: dict[str, object]) -> None:
        path = self._logs / f".{kind}-{self._rank}"
        temporary = path.with_suffix(".tmp")
        with suppress(OSError):  # the job must end all the same
            temporary.write_text(json.dumps({"launch": self._launch, **note}))
            temporary.replace(path)

    def _read(self, kind: str) -> dict[int, dict[str, Any]]:
        found = {}
        for name in self._names():
            rank = name.removeprefix(f".{kind}-")
            if rank == name or not rank.isdigit():
                continue
            with suppress(OSError, ValueError):
                note = json.loads((self._logs / name).read_text())
                if note.pop("launch") == self._launch:
                    found[int(rank)] = note
        return found

    def _names(self) -> list[str]:
        """What is in logs/ now; NFS shows the list of a minute ago to one that changes nothing."""
        try:
            if self._ranks.local_size < self._ranks.world_size:
                probe = self._logs / f".look-{self._rank}"
                probe.touch()
                probe.unlink()
            return os.listdir(self._logs)
        except OSError:
            return []

    def _remove(self, *kinds: str) -> None:
        for kind in kinds:
            with suppress(OSError):
                (self._logs / f".{kind}-{self._rank}").unlink(missing_ok=True)


def where(frame: FrameType | None) -> tuple[str, bool]:
    """Innermost line outside of libraries, and whether it belongs to an exchange of ranks."""
    own, any_place, is_waiting = "", "", False
    while frame is not None:
        name = frame.f_code.co_filename
        is_waiting = is_waiting or name.startswith(_COMM)
        place = f"{Path(name).name}:{frame.f_lineno} in {frame.f_code.co_name}"
        if not name.startswith((*_LIBRARIES, "<")):
            own = own or place
        any_place = any_place or place
        frame = frame.f_back
    return own or any_place, is_waiting


def verdict(signs: Mapping[int, Sign], hosts: Sequence[str], logs: Path) -> str:
    """One sentence: which rank holds the others up, and where to look."""
    at_fault = [sign for sign in signs.values() if not sign.is_waiting]
    silent = [rank for rank in range(len(hosts)) if rank not in signs]
    if at_fault:
        # on CUDA a rank that waits for the others' part in a kernel also seems to compute: behind
        # are those that it waits for
        at_fault.sort(key=lambda sign: (sign.epoch, sign.step, sign.stage == "step"))
        text = "; ".join(map(str, at_fault[:3]))
        others = len(signs) - len(at_fault)
        if others:
            text += f"; the {'others wait' if others > 1 else 'other waits'} for it"
    elif silent:
        names = ", ".join(f"rank {rank} on {hosts[rank]}" for rank in silent[:4])
        text = (
            f"{names}: no sign of life, while the others wait for it in {_step(signs)}; the "
            "process is halted, its node is gone, or a library in it holds Python's lock"
        )
    else:
        text = _all_wait(signs)
    return (
        f"{text}; stacks of all ranks are in {logs}/stacks-*.txt; mend that, and start the run "
        "again; if it was only slow, raise train.watchdog_s"
    )


def _step(signs: Mapping[int, Sign]) -> str:
    first = next(iter(signs.values()))
    return f"epoch {first.epoch}, step {first.step}"


def _all_wait(signs: Mapping[int, Sign]) -> str:
    """Nobody computes: the ranks wait in different exchanges, or the network does not carry."""
    behind = min(signs.values(), key=lambda sign: (sign.epoch, sign.step))
    places = {sign.place for sign in signs.values()}
    if len({(sign.epoch, sign.step) for sign in signs.values()}) > 1:
        return f"{behind} and is behind the others"
    if len(places) > 1:
        return f"the ranks wait in different exchanges: {'; '.join(map(str, signs.values()))}"
    return (
        f"all {len(signs)} ranks wait in one exchange in {_step(signs)} at {places.pop()}: the "
        "network or a device does not answer"
    )
