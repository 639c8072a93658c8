"""One run for all tests."""

from pathlib import Path

import pytest

from tests.unit.embed.run import make_run


@pytest.fixture(scope="session")
def sky(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with checkpoints of two epochs; tests write elsewhere."""
    return make_run(tmp_path_factory.mktemp("sky"), epochs=(1, 2))
