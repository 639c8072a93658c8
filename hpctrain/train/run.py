"""The run directory as the trainer sees it: what was asked for, and what the run is doing."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from hpctrain.config.job import Job
from hpctrain.config.load import read_resolved
from hpctrain.errors import ConfigError, TrainError
from hpctrain.errors import unwritable as unwritable
from hpctrain.index import Index, read_index
from hpctrain.provenance.files import stamped_page
from hpctrain.train.faults.places import Places
from hpctrain.train.json_file import write_json as write_json
from hpctrain.train.launches import Launches
from hpctrain.train.stamps import Stamps
from hpctrain.train.task import Position


class Run:
    """One run directory, opened by every rank, written by rank 0."""

    def __init__(self, path: Path) -> None:
        if not (path / "config.yaml").is_file():
            raise ConfigError(
                f"{path}: no config.yaml in it; give a run directory that `hpctrain render` wrote"
            )
        self.path = path.resolve()
        self.job: Job = read_resolved(path / "config.yaml")
        for name in ("logs", "checkpoints", "tensorboard", "eval"):
            _make_folder(self.path / name)
        self.stamps = Stamps(self.path)
        self.launches = Launches(self.path, self.stamps)
        self._lock = threading.Lock()
        """Held while a document is read and written again."""

    def digests(self) -> dict[str, str]:
        """SHA-256 of what every rank must have read alike."""
        files = {"config": "config.yaml", "index": "index.csv", "code": "code/SOURCE.json"}
        return {
            key: hashlib.sha256((self.path / name).read_bytes()).hexdigest()
            for key, name in files.items()
            if (self.path / name).is_file()
        }

    @cached_property
    def places(self) -> Places:
        """What this rank's files are called elsewhere."""
        return Places.of(self.job, self.path)

    def read_index(self) -> Index:
        """The index of the run, with the root where this rank sees it."""
        index = read_index(self.path)
        return replace(index, root=self.places.data_root(index.root, self.job))

    def last_validation(self) -> tuple[int, dict[str, float]]:
        """Epoch of the newest validation, 0 before the first, and the scalar it was judged by.

        The scalar has the name of its metric, which may be another than the job's of now; none
        where nothing was judged.
        """
        try:
            page = json.loads((self.path / "eval" / "summary.json").read_text())
            epoch, judged = int(page["epoch"]), page.get("judged")
            if not isinstance(judged, dict):
                return epoch, {}
            return epoch, {judged["metric"].removeprefix("validation/"): float(judged["value"])}
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return 0, {}

    def write_eval(self, documents: Mapping[str, Any], at: Position) -> None:
        """Write JSON documents below eval/, stamped with what is known by now."""
        stamp = self.stamps.product("evaluation", at, patience_s=0.0)
        with self._lock:
            for name, content in documents.items():
                write_json(self.path / "eval" / name, stamped_page(content, stamp))

    def complete_eval(self, documents: Mapping[str, Any], at: Position) -> None:
        """Write them again when the digest of their checkpoint is known; waits for it.

        Documents that a later validation has written stay.
        """
        stamp = self.stamps.product("evaluation", at)
        with self._lock:
            for name, content in documents.items():
                path = self.path / "eval" / name
                if json.loads(path.read_text()).get("step") == at.global_step:
                    write_json(path, stamped_page(content, stamp))


def _make_folder(path: Path) -> None:
    """Make it if it is not there.

    Raises:
        TrainError: it cannot be made, or is a link to a folder that is gone.
    """
    try:
        path.mkdir(exist_ok=True)
    except FileExistsError as e:
        if path.is_symlink() and not path.exists():
            raise TrainError(
                f"{path}: links to {os.readlink(path)}, which is not there (scratch file systems "
                "are purged); bring that folder back or make it anew, or remove the link, and "
                "start the run again"
            ) from e
        raise TrainError(
            f"{path}: is no folder; move that file away, and start the run again"
        ) from e
    except OSError as e:
        raise unwritable(path, e) from e


class RunState:
    """state.json: one key a line, replaced as a whole, so that a reader never sees half of it."""

    def __init__(self, run_dir: Path) -> None:
        self.path = run_dir / "state.json"
        try:
            self.fields: dict[str, Any] = json.loads(self.path.read_text())
        except (OSError, ValueError):
            self.fields = {}
        self._written = 0.0
        self._stamp = self._stamp_now()

    def update(self, *, at_most_every_s: float = 0.0, **fields: Any) -> None:
        """Set fields and write the file, unless it was written a moment ago."""
        self.fields.update(fields)
        now = time.time()
        if now - self._written < at_most_every_s:
            return
        self._written = now
        self.fields["updated"] = round(now, 3)
        if self._stamp_now() != self._stamp:
            self._keep_failure()
        write_json(self.path, self.fields)
        self._stamp = self._stamp_now()

    def _stamp_now(self) -> tuple[int, int]:
        try:
            status = self.path.stat()
        except OSError:
            return 0, 0
        return status.st_ino, status.st_mtime_ns

    def _keep_failure(self) -> None:
        """What another rank has written of its failure is not overwritten by news of this one."""
        try:
            found = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return
        told = {key: found.get(key) for key in ("status", "message", "exit_code", "error")}
        is_same_start = found.get("launch_id") == self.fields.get("launch_id")
        if is_same_start and told["status"] == "failed" and told["message"]:
            self.fields.update(told)

    def begin(self, **fields: Any) -> None:
        """Say that the training runs here; forgets the end of an earlier start."""
        self.fields.pop("error", None)
        for key in ("message", "exit_code", "stop_reason"):
            self.fields.pop(key, None)
            self.fields.pop(f"previous_{key}", None)  # so the run script has renamed them
        for key in ("staging", "alarms"):
            self.fields.pop(key, None)
        launch = os.environ.get("HPCTRAIN_LAUNCH_ID", "")
        here: dict[str, Any] = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "launch_id": launch,
            "job_id": os.environ.get("HPCTRAIN_JOB_ID", ""),
        }
        self.update(status="running", **here, **fields)
