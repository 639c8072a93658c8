"""Threads of the zarr library end with each test, and a progress that is quiet."""

import sys

import pytest


@pytest.fixture(autouse=True)
def zarr_threads():
    yield
    if "zarr.core.sync" in sys.modules:
        sys.modules["zarr.core.sync"].cleanup_resources()
