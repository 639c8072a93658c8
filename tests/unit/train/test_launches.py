from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from hpctrain.train.launches import Launches
from hpctrain.train.stamps import Stamps
from tests.runs import wait_until


@pytest.fixture
def launches(tmp_path: Path) -> Launches:
    return Launches(tmp_path, Stamps(tmp_path))


def listed(run_dir: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((run_dir / "manifest.json").read_text())["launches"]
    return found


def test_launches__begin_and_end(tmp_path: Path, launches: Launches) -> None:
    (tmp_path / "manifest.json").write_text('{"version": "1"}')
    launches.begin({"launch_id": "one"})
    launches.end(75)
    (entry,) = listed(tmp_path)
    assert (entry["launch_id"], entry["exit_code"]) == ("one", 75)
    assert entry["time"] <= entry["end"]
    assert json.loads((tmp_path / "manifest.json").read_text())["version"] == "1"


@pytest.mark.parametrize("lead", ["", "previous_"])
def test_launches__the_next_start_notes_how_the_one_before_failed(
    tmp_path: Path, launches: Launches, lead: str
) -> None:
    launches.begin({"launch_id": "one"})
    state = {"launch_id": "one", f"{lead}exit_code": 6, f"{lead}message": "bad", "updated": 5.0}
    (tmp_path / "state.json").write_text(json.dumps(state))
    launches.begin({"launch_id": "two"})
    first, second = listed(tmp_path)
    assert (first["exit_code"], first["message"], first["end"]) == (6, "bad", 5.0)
    assert "exit_code" not in second


def test_launches__what_another_start_left_is_not_taken(tmp_path, launches) -> None:
    launches.begin({"launch_id": "one"})
    (tmp_path / "state.json").write_text('{"launch_id": "zero", "exit_code": 6}')
    launches.begin({"launch_id": "two"})
    assert "exit_code" not in listed(tmp_path)[0]


def test_launches__image_is_read_once_for_all_starts(
    tmp_path: Path, launches: Launches, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = tmp_path / "x.sif"
    image.write_bytes(b"image")
    facts = {"image": str(image), "size": 5, "mtime_ns": image.stat().st_mtime_ns}
    launches.begin({"launch_id": "one", "container": facts})
    digest = hashlib.sha256(b"image").hexdigest()
    wait_until(lambda: listed(tmp_path)[0]["container"].get("sha256") == digest)
    monkeypatch.setattr("hpctrain.train.launches.digest_of", None)
    launches.begin({"launch_id": "two", "container": facts})
    assert listed(tmp_path)[1]["container"]["sha256"] == digest
    monkeypatch.undo()
    image.write_bytes(b"other")
    os.utime(image, ns=(7, 7))
    launches.begin({"launch_id": "three", "container": {**facts, "mtime_ns": 7}})
    other = hashlib.sha256(b"other").hexdigest()
    wait_until(lambda: listed(tmp_path)[2]["container"].get("sha256") == other)


def test_launches__image_that_is_not_shown_inside(tmp_path: Path, launches: Launches) -> None:
    launches.begin({"launch_id": "one", "container": {"image": "/not/here.sif"}})
    assert listed(tmp_path)[0]["container"] == {"image": "/not/here.sif"}
