"""What this machine allows a process."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from hpctrain.provenance import limits
from hpctrain.provenance.limits import limit_facts


def test_limit_facts__are_those_of_this_process() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        facts = limit_facts()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert facts["open_files"] == 512
    assert facts["cores"] == sorted(os.sched_getaffinity(0))
    assert facts["memory"] > 0


def test_limit_facts__no_shared_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(limits, "_SHM", tmp_path / "gone")
    assert "shm" not in limit_facts()


def test_limit_facts__memory_of_the_control_group(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "max").write_text("1048576\n")
    monkeypatch.setattr(limits, "_MEMORY", (tmp_path / "gone", tmp_path / "max"))
    assert limit_facts()["memory"] == 1 << 20
    (tmp_path / "max").write_text("max\n")
    assert limit_facts()["memory"] > 1 << 20
