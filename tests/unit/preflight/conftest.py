"""Fixtures of the checks before queueing."""

import pytest

from tests.unit.preflight.programs import Programs


@pytest.fixture
def programs(tmp_path, monkeypatch):
    return Programs(tmp_path / "programs", monkeypatch)
