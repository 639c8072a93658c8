"""A real Slurm cluster of two nodes for all tests here, brought up once."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.integration.slurm.cluster import Cluster, start_cluster
from tests.integration.slurm.jobs import SRUN_SITE
from tests.runs import SmallRun, make_small


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """TEST_CLUSTER=multi or netns chooses the mode, see cluster.sh."""
    with start_cluster(os.environ.get("TEST_CLUSTER", "auto")) as started:
        yield started


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    """A folder with data, a job file, a second site and, in time, rendered runs."""
    small = make_small(tmp_path_factory.mktemp("small"))
    (small.folder / "srun.yaml").write_text(SRUN_SITE)
    return small
