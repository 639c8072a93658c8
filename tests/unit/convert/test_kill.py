"""A conversion that is killed at any point goes on, and ends with the same bytes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.unit.convert.builders import run, tree, volume, write_fragment

REPO = Path(__file__).resolve().parents[3]


def sources_of(store: str, folder: Path) -> list[Path]:
    folder.mkdir()
    if store == "npy":
        for i in range(2):
            np.save(folder / f"s{i}.npy", volume((2, 9, 8, 7), np.float32, seed=i))
        return sorted(folder.glob("*.npy"))
    if store == "zarr":
        return [write_fragment(folder / "frag", volume((9, 20, 18)))]
    rng = np.random.default_rng(0)
    for name in ("rgb", "ir"):
        (folder / name).mkdir()
    for i in range(3):
        picture = rng.integers(0, 255, (12, 10, 3)).astype(np.uint8)
        Image.fromarray(picture).save(folder / "rgb" / f"{i}.jpg")
        np.save(folder / "ir" / f"{i}.npy", rng.integers(0, 9999, (8, 6)).astype(np.uint16))
    return [folder / "rgb", folder / "ir"]


@pytest.mark.slow
@pytest.mark.parametrize("store", ["npy", "zarr", "records"])
def test_kill__at_every_touch_of_the_disk(tmp_path, store):
    sources = sources_of(store, tmp_path / "raw")
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.convert.kills", store, *sources, tmp_path / "work"],
        cwd=REPO,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split()[0]) > 12


@pytest.mark.slow
def test_kill__from_outside_with_several_threads(tmp_path):
    np.save(tmp_path / "a.npy", volume((2, 40, 40, 30), np.float32))
    run(tmp_path / "a.npy", "zarr", tmp_path / "expected", chunk=8, shard=16)
    command = [sys.executable, "-m", "hpctrain", "convert", tmp_path / "a.npy", "--to", "zarr"]
    command += ["--out", tmp_path / "out", "--chunk", "8", "--shard", "16", "--workers", "2"]
    command += ["--memory", "1"]
    journal = tmp_path / "out.partial" / "journal.jsonl"
    for lines in (4, 11, 17):
        process = subprocess.Popen(command, cwd=REPO, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            if journal.exists() and journal.read_bytes().count(b"\n") >= lines:
                break
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert process.returncode == -signal.SIGKILL, "it ended before it was killed"
        assert not (tmp_path / "out").exists()
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=True)
    assert "MB done before" in done.stderr
    found, expected = tree(tmp_path / "out"), tree(tmp_path / "expected")
    assert found == expected
