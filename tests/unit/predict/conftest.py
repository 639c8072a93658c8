"""Predictions set the package's log up, as a program of their own; put it back for other tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hpctrain.log import logger


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    handlers, level, propagates = list(logger.handlers), logger.level, logger.propagate
    yield
    logger.handlers[:], logger.propagate = handlers, propagates
    logger.setLevel(level)
