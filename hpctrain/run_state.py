"""What state.json says of a run, and whether that can still be true.

Used by `status` and by the report; standard library only, as login nodes have no torch.
"""

from __future__ import annotations

import json
import math
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SILENT_AFTER_S = 300.0
"""A run on another host that wrote nothing for so long is shown as silent."""

ACTIVE = ("starting", "running")
"""States in which a process should be alive."""


@dataclass(frozen=True)
class RunState:
    """One run directory's state.json.

    Attributes:
        path: the run directory.
        fields: the file's content; empty when it cannot be read.
        problem: why it cannot be read, or None.
        modified: when the file was last written, in seconds since 1970, or None.
    """

    path: Path
    fields: dict[str, Any]
    problem: str | None = None
    modified: float | None = None

    @property
    def name(self) -> str:
        """Name of the run: that of its directory."""
        return self.path.resolve().name

    def text(self, key: str) -> str | None:
        """A field as one line of text, or None when it is absent or empty."""
        value = self.fields.get(key)
        return None if value in (None, "") else " ".join(str(value).split())

    def number(self, key: str) -> float | None:
        """A field as a finite number, or None."""
        return finite(self.fields.get(key))

    @property
    def loss(self) -> float | None:
        """The last loss; of several the generator's, else the first."""
        losses = self.fields.get("loss")
        if not isinstance(losses, dict):
            return finite(losses)
        return finite(losses.get("generator", next(iter(losses.values()), None)))

    @property
    def step(self) -> float | None:
        """Steps since the start of the training."""
        total = self.number("global_step")
        return self.number("step") if total is None else total

    @property
    def updated(self) -> float | None:
        """When the run last said anything, in seconds since 1970."""
        return self.number("updated") or self.modified

    def verdict(self, now: float | None = None) -> str:
        """The state in a word: as recorded, or `unreadable`, `died`, `silent`."""
        if self.problem:
            return "unreadable"
        status = self.text("status") or "unreadable"
        if status not in ACTIVE:
            return status
        pid, host, updated = self.number("pid"), self.text("host"), self.updated
        if status == "starting":
            updated = self.modified  # the script wrote it; the rest is of an earlier start
        elif pid and host == socket.gethostname():
            return status if is_alive(int(pid), updated) else "died"
        age = (time.time() if now is None else now) - (updated or math.inf)
        return "silent" if age > SILENT_AFTER_S else status


def find(folder: Path) -> list[Path]:
    """Run directories in a folder, by name; the folder itself if it is one."""
    if is_run(folder):
        return [folder]
    if not folder.is_dir():
        return []
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and is_run(entry))


def is_run(folder: Path) -> bool:
    """True for a directory that `hpctrain render` wrote."""
    return (folder / "state.json").is_file() or (folder / "config.yaml").is_file()


def read(run_dir: Path) -> RunState:
    """Read a run's state; never raises for what is in the file."""
    path = run_dir / "state.json"
    try:
        modified = path.stat().st_mtime
        fields = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return RunState(run_dir, {}, "state.json is missing")
    except OSError as e:
        return RunState(run_dir, {}, f"state.json cannot be read ({e.strerror})")
    except ValueError as e:
        return RunState(run_dir, {}, f"state.json is not JSON ({first_line(e)})", modified)
    if not isinstance(fields, dict) or not isinstance(fields.get("status"), str):
        return RunState(run_dir, {}, "state.json holds no 'status'", modified)
    return RunState(run_dir, fields, None, modified)


def is_alive(pid: int, updated: float | None = None) -> bool:
    """True if the process runs on this host.

    A zombie is dead, and so is a process that began after `updated`: the number went to another.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = _boot_time()
    except OSError:
        return True  # no /proc on this system: the signal's answer stands
    # proc(5): the name in brackets may hold spaces; state is field 3, start time is field 22.
    rest = stat.rpartition(")")[2].split()
    started = boot + int(rest[19]) / os.sysconf("SC_CLK_TCK")
    return rest[0] not in "ZX" and (updated is None or started <= updated + 2.0)


def _boot_time() -> float:
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    return 0.0


def finite(value: Any) -> float | None:
    """A value from a JSON file as a finite number, or None; `"nan"` and True are none."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def duration(seconds: float) -> str:
    """Hours, minutes and seconds as `1:02:03` or `2:03`; days as `2 d 03 h`."""
    whole = max(0, round(seconds))
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} d {hours % 24:02} h"
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def age(seconds: float) -> str:
    """Time that has passed, in its largest unit: `8 s`, `12 min`, `3 h`, `5 d`."""
    seconds = max(0.0, seconds)
    for limit, unit, size in ((100, "s", 1), (6000, "min", 60), (172800, "h", 3600)):
        if seconds < limit:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds // 86400)} d"


def first_line(error: BaseException) -> str:
    """First line of an error's text."""
    return (str(error).splitlines() or [type(error).__name__])[0]
