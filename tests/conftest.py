"""Options, marks and guards for all tests."""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpctrain.log import logger
from tests import warm
from tests.requires import enforce

# libraries set these for themselves when they are imported or first used
_LIBRARY_VARIABLES = (
    "PYTEST_",
    "KMP_",
    "CUBLAS_",
    "CUDA_",
    "TORCH",
    "_TORCHINDUCTOR_",
    "TF_",
    "GLOO_",
    "OMPI_",
    "PMIX_",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="accept what is rendered now as the golden files",
    )


def pytest_configure(config: pytest.Config) -> None:
    # An empty home: jobs begin as login shells, and what a profile locks stays locked for all later
    # ones (pyenv's does so) where a test kills its job in that moment.
    home = tempfile.TemporaryDirectory(prefix="hpctrain-home-")
    config.add_cleanup(home.cleanup)
    os.environ["HOME"] = home.name
    config.add_cleanup(warm.stop)
    # a shell's background job ignores SIGINT, and so would every program that a test interrupts
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "requires(*needs): see tests/requires.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        names = {name for mark in item.iter_markers("requires") for name in mark.args}
        for name in names & {"mpi", "cuda"}:
            item.add_marker(name)


def pytest_runtest_setup(item: pytest.Item) -> None:
    enforce(item)


@pytest.fixture(autouse=True)
def no_leaks() -> Iterator[None]:
    """Fail a test that leaves environment variables, threads or a process group behind."""
    environment, threads, cwd = _environment(), set(threading.enumerate()), Path.cwd()
    yield
    after = _environment()
    changed = {k for k in environment.keys() | after.keys() if environment.get(k) != after.get(k)}
    assert not changed, f"the test left changed environment variables: {sorted(changed)}"
    assert Path.cwd() == cwd, "the test left another working directory"
    left = _left_threads(threads)
    assert not left, f"the test left threads running: {left}"
    distributed = sys.modules.get("torch.distributed")
    assert not (distributed and distributed.is_initialized()), "the test left a process group"


@pytest.fixture(autouse=True)
def fresh_log() -> Iterator[None]:
    """Programs set the package's log up, here too; what they did is no part of the next test."""
    yield
    logger.handlers.clear()
    logger.setLevel(logging.NOTSET)
    logger.propagate = True


def _environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith(_LIBRARY_VARIABLES)}


def _left_threads(before: set[threading.Thread], patience_s: float = 2.0) -> list[str]:
    end = time.monotonic() + patience_s
    while True:
        left = [
            t.name for t in set(threading.enumerate()) - before if t.is_alive() and not t.daemon
        ]
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.02)


@pytest.fixture
def weird_tmp_path(tmp_path: Path) -> Path:
    """A folder whose name has everything that careless quoting breaks on."""
    folder = tmp_path / "a b $HOME `id` ;&'\"(x) ünï"
    folder.mkdir()
    return folder
