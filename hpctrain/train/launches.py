"""Starts of a run in its manifest: when, where and on what each began, and how it ended."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from hpctrain.errors import TrainError
from hpctrain.log import logger
from hpctrain.provenance.digest import digest_of
from hpctrain.provenance.run import launches_of
from hpctrain.train.json_file import write_json
from hpctrain.train.stamps import Stamps

_IMAGE = ("image", "id", "size", "mtime_ns")
"""By which the image of an earlier start is known to be the same file."""


class Launches:
    """The list `launches` of manifest.json, written by rank 0."""

    def __init__(self, run_dir: Path, stamps: Stamps) -> None:
        self._run_dir, self._stamps = run_dir, stamps
        self._lock = threading.Lock()

    def begin(self, facts: dict[str, Any]) -> None:
        """Append what this start found, and what is known by now of how the one before ended."""
        with self._lock:
            manifest = self._read()
            earlier = launches_of(manifest)
            if earlier and "exit_code" not in earlier[-1]:
                earlier[-1].update(self._end_of(earlier[-1]))
            container = dict(facts.get("container") or {})
            known = _known_digest(container, earlier)
            if known:
                container["sha256"] = known
            own = {"container": container} if container else {}
            entry = {**facts, **own, "time": round(time.time(), 3)}
            self._write({**manifest, "launches": [*earlier, entry]})
        if container and not known:
            self._hash(container)

    def end(self, exit_code: int) -> None:
        """Note when and how this start ended."""
        self._amend({"end": round(time.time(), 3), "exit_code": exit_code})

    def _end_of(self, launch: Mapping[str, Any]) -> dict[str, Any]:
        """What state.json says of a start that failed, and could not note it itself.

        The run script has put `previous_` before what the start before left.
        """
        try:
            state = json.loads((self._run_dir / "state.json").read_text())
        except (OSError, ValueError):
            return {}
        if not isinstance(state, dict) or state.get("launch_id") != launch.get("launch_id"):
            return {}
        found = {
            key: state.get(f"previous_{key}", state.get(key)) for key in ("exit_code", "message")
        }
        known = {key: value for key, value in found.items() if value is not None}
        return {**known, "end": state["updated"]} if known and "updated" in state else known

    def _hash(self, container: Mapping[str, Any]) -> None:
        """Compute the sha256 of the image that the ranks run in, in a thread.

        An image is gigabytes: nothing waits for this, and a start that ends earlier has none.
        """
        path = str(container.get("image") or "")
        if not os.path.isfile(path):
            return

        def work() -> None:
            try:
                digest = digest_of(path)
                self._amend({"container": {**container, "sha256": digest}})
                self._stamps.take_image(digest)
            except (OSError, TrainError) as e:
                logger.debug("%s: no digest: %s", path, e)

        threading.Thread(target=work, name="image", daemon=True).start()

    def _amend(self, facts: Mapping[str, Any]) -> None:
        with self._lock:
            manifest = self._read()
            launches = launches_of(manifest)
            if launches:
                launches[-1].update(facts)
                self._write({**manifest, "launches": launches})

    def _read(self) -> dict[str, Any]:
        with suppress(FileNotFoundError):
            page: dict[str, Any] = json.loads((self._run_dir / "manifest.json").read_text())
            return page
        return {}

    def _write(self, manifest: Mapping[str, Any]) -> None:
        write_json(self._run_dir / "manifest.json", manifest)


def _known_digest(container: Mapping[str, Any], launches: list[dict[str, Any]]) -> str:
    """Digest that an earlier start took of the same image; a chain reads it only once."""
    if "mtime_ns" not in container:
        return ""
    others = [launch.get("container") for launch in reversed(launches)]
    alike = (
        str(other["sha256"])
        for other in others
        if isinstance(other, dict)
        and other.get("sha256")
        and all(container.get(key) == other.get(key) for key in _IMAGE)
    )
    return next(alike, "")
