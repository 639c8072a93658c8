"""Films of a shell: a GIF always, and an MP4 by the ffmpeg that there is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hpctrain.analysis import animation
from hpctrain.analysis.animation import WITHOUT_FFMPEG, animate, find_ffmpeg

NAMES = ["first.nc", "second.nc", "third.nc"]


def film(path: Path) -> tuple[list[Path], str]:
    rng = np.random.default_rng(0)
    fields = {kind: rng.normal(size=(3, 6, 12)) for kind in ("truth", "generator")}
    axes = np.linspace(75, -75, 6), np.arange(12) * 30.0
    return animate(fields, "temperature", "K", axes, "660 km deep", NAMES, path)


@pytest.fixture
def no_ffmpeg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Neither on PATH nor in a package; returns a folder that PATH has."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    return folder


def test_without_ffmpeg__there_is_a_gif_and_a_word_on_what_mp4_needs(tmp_path, no_ffmpeg):
    assert find_ffmpeg() is None
    files, note = film(tmp_path / "time_T.gif")
    assert (files, note) == ([tmp_path / "time_T.gif"], WITHOUT_FFMPEG)
    assert "pip install 'hpctrain[movie]'" in note
    with Image.open(files[0]) as image:
        assert image.n_frames == 3
    assert {p.name for p in tmp_path.iterdir()} == {"bin", "time_T.gif"}


def test_ffmpeg_that_fails__is_told_in_its_own_words(tmp_path, no_ffmpeg):
    program = no_ffmpeg / "ffmpeg"
    program.write_text("#!/bin/sh\n/bin/cat > /dev/null; echo 'Unknown encoder h264' >&2; exit 1\n")
    program.chmod(0o755)
    files, note = film(tmp_path / "time_T.gif")
    assert files == [tmp_path / "time_T.gif"]
    assert note == f"no MP4: {program} failed (Unknown encoder h264)"
    assert {p.name for p in tmp_path.iterdir()} == {"bin", "time_T.gif"}


@pytest.mark.skipif(animation.find_ffmpeg() is None, reason=WITHOUT_FFMPEG)
def test_mp4__has_a_frame_for_each_time_step(tmp_path):
    files, note = film(tmp_path / "time_T.gif")
    assert [p.suffix for p in files] == [".gif", ".mp4"]
    assert "time_T.mp4" in note
    words = [find_ffmpeg(), "-v", "error", "-i", str(files[1]), "-f", "framehash", "-"]
    hashes = subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()
    frames = {line.split(",")[-1] for line in hashes if not line.startswith("#")}
    assert len(frames) == 3
