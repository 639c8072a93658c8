"""Limits of the machines where ranks run."""

from __future__ import annotations

from hpctrain.doctor.limits import limits_topic
from tests.unit.doctor.notes import LIMITS


def said(**hosts) -> dict[str, tuple[str, str]]:
    lines = limits_topic(hosts).lines
    return {line.name: (line.severity, line.text) for line in lines}


def test_limits__all_well() -> None:
    found = said(nid01=LIMITS)
    assert found["ulimit"] == ("ok", "65536 open files, unlimited processes")
    assert found["memlock"] == ("ok", "unlimited; no InfiniBand here that would need more")
    assert {severity for severity, _ in found.values()} == {"ok"}


def test_limits__too_little() -> None:
    shm = {"size": 64 << 20, "free": 60 << 20}
    low = {**LIMITS, "open_files": 1024, "stack": 1 << 20, "shm": shm}
    found = said(nid01={**low, "locked_memory": 65536, "infiniband": ["mlx5_0"]})
    assert [found[name][0] for name in ("ulimit", "stack", "/dev/shm", "memlock")] == [  # noqa: S108
        "warning"
    ] * 4
    assert found["memlock"][1].startswith("64 KiB, and mlx5_0 needs pages locked")


def test_limits__hosts_that_differ_are_named() -> None:
    topic = limits_topic({"nid01": LIMITS, "nid02": {**LIMITS, "open_files": 1024}})
    lines = [f"{line.severity} {line.text}" for line in topic.lines if line.name == "ulimit"]
    assert lines == [
        "ok 65536 open files, unlimited processes on nid01",
        "warning 1024 open files, unlimited processes on nid02",
    ]


def test_limits__no_shared_memory() -> None:
    assert said(a={**LIMITS, "shm": None})["/dev/shm"][0] == "warning"  # noqa: S108
