"""The command line as people type it, and folders to type it in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.builds import Machine
from tests.runs import SmallRun, make_small


@pytest.fixture
def small(tmp_path: Path) -> SmallRun:
    """A folder of its own with data and a job file."""
    return make_small(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    """One such folder for the tests of a module that leave it as it is."""
    return make_small(tmp_path_factory.mktemp("shared"))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Builds images by a stand-in for the engine."""
    return Machine(tmp_path)
