"""Real engines under a real mpirun: places, masks and variables arrive inside."""

from __future__ import annotations

import pytest

from tests.integration.container.boxes import render_shown, shown, site, start
from tests.requires import requires
from tests.runs import SmallRun, make_small

pytestmark = [requires(mpi=True, apptainer=True), pytest.mark.slow]
GPUS = ("resources.gpus_per_rank=1", "train.adversary=null")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    return make_small(tmp_path_factory.mktemp("small"))


ENGINES = [
    "apptainer",
    "singularity",
    pytest.param("charliecloud", marks=requires(charliecloud=True)),
]


@pytest.mark.parametrize("engine", ENGINES)
def test_engine__hands_on_place_mask_and_variables(small, base_image, base_folder, engine):
    image = base_folder if engine == "charliecloud" else base_image
    place = site(small, engine, {"engine": engine, "env": {"SITE_MARK": "x,y $z"}})
    run = render_shown(small, engine, place, f"container.image={image}", *GPUS)
    code, said = start(run)
    assert code == 0, said
    found = shown(run)
    assert [one["place"] for one in found] == ["0 2 0", "1 2 1"]
    assert [one["launcher"] for one in found] == ["0", "1"]
    assert [one["mask"] for one in found] == ["3", "2"]
    assert {one["job"] for one in found} == {"a $b"}
    assert {one["site"] for one in found} == {"x,y $z"}
    assert {one["prefix"] for one in found} == {"none"}  # it would mislead the image's own MPI
    assert {one["folder"] for one in found} == {str(run)}
    assert {one["system"] for one in found} == {"bookworm"}


@pytest.mark.parametrize("engine", ENGINES)
def test_abi_bind__puts_the_hosts_libraries_first(small, base_image, base_folder, engine):
    image = base_folder if engine == "charliecloud" else base_image
    path = {"abi": "bind", "library_path": ["$NOTHING", "$HOST_MPI/lib", "/fabric"]}
    place = site(
        small,
        f"{engine}-bind",
        {"engine": engine, **path, "setup": ["HOST_MPI=/host/mpi"]},
    )
    run = render_shown(small, "bind", place, f"container.image={image}", "train.adversary=null")
    code, said = start(run)
    assert code == 0, said
    for one in shown(run):
        assert one["libraries"].startswith("/host/mpi/lib:/fabric"), one


@pytest.mark.parametrize("engine", ["apptainer", ENGINES[2]])
@pytest.mark.parametrize("is_shared", [True, False])
def test_one_namespace__is_that_of_all_ranks_of_a_node(
    small, base_image, base_folder, engine, is_shared
):
    image = base_folder if engine == "charliecloud" else base_image
    name = f"{engine}-{'one' if is_shared else 'each'}"
    place = site(small, name, {"engine": engine, "one_namespace": is_shared})
    run = render_shown(small, name, place, f"container.image={image}", *GPUS)
    code, said = start(run)
    assert code == 0, said
    found = shown(run)
    assert len({one["namespace"] for one in found}) == (1 if is_shared else 2)
    assert [one["mask"] for one in found] == ["3", "2"]


def test_copy_to_node__is_what_ranks_start_and_is_gone_afterwards(small, base_image, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    place = site(small, "copied", {"copy_to_node": True}, scratch=str(disk))
    run = render_shown(small, "copied", place, f"container.image={base_image}", *GPUS)
    code, said = start(run)
    assert code == 0, said
    for one in shown(run):
        assert one["image"].startswith(f"{disk}/hpctrain-image-"), said
        assert one["image"].endswith(f"/{base_image.name}")
    assert "for a copy of the image on each node" in said
    assert list(disk.iterdir()) == []


def test_copy_to_node__without_room_the_image_is_read_in_place(small, base_image, tmp_path):
    place = site(small, "full", {"copy_to_node": True}, scratch=str(tmp_path / "none"))
    run = render_shown(small, "full", place, f"container.image={base_image}", *GPUS)
    code, said = start(run)
    assert code == 0, said
    assert [one["image"] for one in shown(run)] == [str(base_image)] * 2
    assert f"reading {base_image} in its own place" in said
