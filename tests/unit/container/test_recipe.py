"""Combinations of an image: filled in, or refused with what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hpctrain.container import recipe, versions
from hpctrain.errors import ConfigError


def test_recipe__is_compiled_on_a_public_image_unless_told_otherwise() -> None:
    found = recipe()
    assert (found.base.bootstrap, found.mpi_version) == ("docker", "5.0.8")
    assert found.torch_index == versions()["device"]["cpu"]["torch_index"]


def test_recipe__a_distribution_brings_its_own_mpi() -> None:
    found = recipe(base="debian12", mirror="http://mirror.example/debian")
    assert found.base.mirror == "http://mirror.example/debian"
    assert found.mpi_version is None
    assert recipe(base="debian12", mpi_version="4.1.8").mpi_version == "4.1.8"


def test_recipe__what_the_host_replaces_is_compiled() -> None:
    assert recipe(base="debian12", family="mpich").mpi_version is None
    assert recipe(base="debian12", family="mpich", is_replaced=True).mpi_version == "3.4.2"


def test_recipe__a_path_is_a_local_image(tmp_path: Path) -> None:
    found = recipe(base="./base.sif", cwd=tmp_path).base
    assert (found.bootstrap, found.source) == ("localimage", str(tmp_path / "base.sif"))
    assert recipe(base="~/x.sif").base.source == str(Path.home() / "x.sif")


def test_recipe__torch_from_where_the_other_packages_are() -> None:
    assert recipe(torch_index="pip").torch_index is None
    index = "https://mirror.example/simple"
    assert recipe(torch_index="pip", pip_index=index).torch_index == index


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"family": "openmp"}, "--mpi: unknown value 'openmp'; .* Did you mean 'openmpi'"),
        ({"device": "gpu"}, "--device: unknown value 'gpu'; choose from cpu, cuda, rocm"),
        ({"comm": "nccl"}, "--comm: unknown value 'nccl'"),
        ({"mpi_from": "apt"}, "--mpi-from: unknown value 'apt'"),
        ({"mpi_version": "9.9"}, "--mpi-version: no release '9.9' of openmpi .* 5.0.8"),
        ({"mpi_version": ""}, "--mpi-version: no release '' of openmpi"),
        ({"base": "~nosuchuser/x.sif"}, "--base: .*no home folder is known for ~nosuchuser"),
        ({"mpi_from": "distribution", "mpi_version": "5.0.8"}, "--mpi-version: .* no effect"),
        (
            {"family": "mpich", "mpi_from": "distribution", "is_replaced": True},
            "--mpi-from: distribution: its MPICH has a library name of its own.* take source",
        ),
        ({"base": "debian"}, "--base: unknown base 'debian'; .* Did you mean 'debian12'"),
        ({"base": "oras://x/y"}, "--base: unknown base 'oras://x/y'"),
        ({"base": "debian12", "device": "cuda"}, "--base: debian12 has no CUDA"),
        ({"base": "docker://a", "mirror": "http://x"}, "--mirror: has no effect with base"),
        ({"base": "docker://a\nFrom: b"}, "--base: .* cannot stand in a definition"),
        ({"base": "/a/{{ b }}.sif"}, "--base: .* cannot stand in a definition"),
        ({"base": "debian12", "mirror": "http://x; rm"}, "--mirror: .* cannot stand"),
        ({"pip_index": "http://$(id)"}, "--pip-index: .* cannot stand"),
        ({"torch_index": "a b"}, "--torch-index: .* cannot stand"),
        ({"proxy": "http://x\n"}, "--proxy: .* cannot stand"),
    ],
)
def test_recipe__says_what_is_wrong(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        recipe(**options)


@pytest.mark.parametrize(
    ("option", "others"),
    [
        ("base", {}),
        ("mirror", {"base": "debian12"}),
        ("pip_index", {}),
        ("torch_index", {}),
        ("proxy", {}),
    ],
)
def test_recipe__a_password_is_refused_and_not_repeated(
    option: str, others: dict[str, str]
) -> None:
    scheme = "docker" if option == "base" else "http"
    for secret in ("hunter2", "hunter!2", "hunt@er2"):
        given: dict[str, Any] = {**others, option: f"{scheme}://alice:{secret}@host.example/x"}
        with pytest.raises(ConfigError, match="holds USER:PASSWORD@.*--host-pip") as found:
            recipe(**given)
        assert str(found.value).startswith(f"--{option.replace('_', '-')}: ")
        assert "hunt" not in str(found.value)
