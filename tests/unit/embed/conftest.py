"""Embedding sets the package's log up, here too; and one run for all tests."""

from pathlib import Path

import pytest

from tests.unit.embed.run import make_run
from tests.unit.predict.conftest import _log_as_it_was as _log_as_it_was


@pytest.fixture(scope="session")
def sky(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with checkpoints of two epochs; tests write elsewhere."""
    return make_run(tmp_path_factory.mktemp("sky"), epochs=(1, 2))
