"""Room and speed of folders, from recorded figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpctrain.doctor.storage import existing, judge, quota_share, run_folders
from hpctrain.doctor.topic import Topic

GOOD = {
    "folder": "/scratch/me",
    "type": "lustre",
    "free": 900 << 30,
    "free_files": 2_000_000,
    "files": 3_000_000,
    "quota": 0.25,
    "write": {"bytes_per_s": float(800 << 20)},
    "rename": {"median_s": 0.002},
}
LFS = "/scratch/me  9663676416  0  10737418240  -  90000  100000  0  -\n"


def said(**more) -> str:
    topic = Topic("storage")
    judge(topic, "runs", {**GOOD, **more})
    (line,) = topic.lines
    return f"{line.severity} {line.text}"


def test_judge__all_well() -> None:
    assert said() == (
        "ok /scratch/me: lustre, 900 GiB free, quota 25% used; writes 800 MiB/s, a small file is "
        "safe in 2.0 ms"
    )


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"free": 1 << 30}, "warning"),
        ({"free": 1 << 20}, "error"),
        ({"free_files": 4000}, "warning"),
        ({"free_files": 10}, "error"),
        ({"free_files": 0, "files": 0}, "ok"),
        ({"quota": 0.97}, "warning"),
        ({"quota": 1.02}, "error"),
        ({"write": {"bytes_per_s": 5e6}}, "warning"),
        ({"rename": {"median_s": 0.8}}, "warning"),
        ({"error": "Read-only file system"}, "error"),
    ],
)
def test_judge__what_is_not_well(more, expected: str) -> None:
    assert said(**more).split()[0] == expected


def test_quota_share__lustre() -> None:
    assert quota_share(LFS) == pytest.approx(0.9)
    assert quota_share("/scratch/me  120*  0  100  -  5  0  0  -") == pytest.approx(1.2)
    assert quota_share("/scratch/me  5  0  0  -  5  0  0  -") is None
    assert quota_share("") is None


def test_existing__goes_up_to_what_is_there(tmp_path: Path) -> None:
    assert existing(tmp_path / "jobs" / "not" / "yet") == tmp_path


def test_run_folders__cache_moves_with_its_variable(tmp_path: Path) -> None:
    found = run_folders(Path("jobs"), {"XDG_CACHE_HOME": str(tmp_path)})
    assert found["cache"] == tmp_path / "hpctrain"
