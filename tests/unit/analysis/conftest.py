"""Run directories for the tests of this folder."""

import pytest

from . import fake_run


@pytest.fixture
def finished_run(tmp_path):
    """A run that went through all its epochs."""
    return fake_run.validate(fake_run.train(fake_run.render(tmp_path / "mantle")))
