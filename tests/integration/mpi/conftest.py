"""One folder of small runs for all tests here, so that undisturbed runs are made once."""

from __future__ import annotations

import pytest

from tests.runs import SmallRun as SmallRun
from tests.runs import make_small
from tests.runs import newest as newest
from tests.runs import wait_until as wait_until


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    return make_small(tmp_path_factory.mktemp("small"))
