"""A user's training in a small image over two nodes, under each engine and launcher."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.integration.container.two_nodes import LAUNCHERS, Desk, assert_learned_the_same
from tests.requires import requires

ENGINES = ["apptainer", pytest.param("charliecloud", marks=requires(charliecloud=True))]
pytestmark = [
    requires(apptainer=True, slurm=True, mpi=True, openmpi4=True, horovod=True),
    pytest.mark.timeout(900),
]


@pytest.mark.parametrize("launcher", LAUNCHERS)
@pytest.mark.parametrize("engine", ENGINES)
def test_mantle__learns_the_same_inside_over_two_nodes(
    desk: Desk,
    outside: dict[str, torch.Tensor],
    base_image: Path,
    base_folder: Path,
    engine: str,
    launcher: str,
) -> None:
    image = base_folder if engine == "charliecloud" else base_image
    run = desk.shown_inside(image, f"{engine}-{launcher}", engine)
    assert_learned_the_same(run, outside)
