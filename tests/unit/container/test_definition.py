"""The text of definitions, for every combination."""

from __future__ import annotations

import re
import subprocess
from itertools import product

import pytest

from hpctrain.container import definition, recipe, versions
from hpctrain.container.layers import split
from hpctrain.container.versions import PREFIX, horovod_script

SECTIONS = ["%help", "%labels", "%environment", "%post", "%test"]
COMBINATIONS = [
    *product(("openmpi", "mpich"), ("cpu", "cuda", "rocm"), ("horovod", "ddp"), (None, "./b.sif")),
    *product(("openmpi", "mpich"), ("cpu",), ("horovod", "ddp"), ("debian12",)),
]


def text_of(family: str, device: str, comm: str, base: str | None) -> str:
    found = recipe(family=family, device=device, comm=comm, base=base)
    return definition(found, version="0.0.0", revision="abc123")


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_definition__is_whole(combination: tuple[str, str, str, str | None]) -> None:
    family, device, comm, base = combination
    text = text_of(*combination)
    lines = text.splitlines()
    assert [line for line in lines if line.startswith("%")] == SECTIONS
    assert not re.search(r"\[\[ |\[%|%\]|\{\{|\}\}", text), "a template of ours or Apptainer's"
    assert f"    hpctrain.device {device}\n" in text
    assert ("import horovod.torch as hvd" in text) == (comm == "horovod")
    assert (horovod_script() in text) == (comm == "horovod")
    is_nccl = "export HOROVOD_GPU_OPERATIONS=NCCL" in text
    assert is_nccl == (comm == "horovod" and device != "cpu")
    assert lines[0] == {
        None: "Bootstrap: docker",
        "./b.sif": "Bootstrap: localimage",
        "debian12": "Bootstrap: debootstrap",
    }.get(base)


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_definition__its_scripts_are_shell(combination: tuple[str, str, str, str | None]) -> None:
    text = text_of(*combination)
    for layer in split(text):
        for part in re.split(r"^%\w+\n", layer.body, flags=re.MULTILINE)[1:]:
            if "hpctrain.device" in part or "for runs of hpctrain" in part:
                continue  # labels and help
            done = subprocess.run(["sh", "-n"], input=part, capture_output=True, text=True)
            assert done.returncode == 0, (layer.name, done.stderr)


def test_definition__pins_everything() -> None:
    text, table = text_of("mpich", "cuda", "horovod", None), versions()
    for name, pin in table["python"].items():
        assert f" {name}=={pin}" in text, name
    index = table["device"]["cuda"]["torch_index"]
    assert f"torch=={table['python']['torch']} --index-url {index}" in text
    assert table["mpi"]["mpich"]["releases"]["3.4.2"] in text
    assert f"./configure --prefix={PREFIX}/mpi" in text
    assert not re.search(r"pip install [^-\n]*\b[a-z]+(?!==)\s*$", text)


def test_definition__a_package_is_not_compiled() -> None:
    text = text_of("openmpi", "cpu", "ddp", "debian12")
    assert "libopenmpi-dev openmpi-bin" in text
    assert "./configure" not in text
    assert "OSVersion: bookworm\nMirrorURL: http://deb.debian.org/debian\n" in text


def test_definition__a_title_is_one_line_that_apptainer_does_not_fill_in() -> None:
    found = recipe(notes=("first\n%post\n    rm -rf /", "{{ secret }}"))
    text = definition(found, version="1", title="a\nBootstrap: docker {{ x }}")
    assert [line for line in text.splitlines() if line.startswith("%")] == SECTIONS
    assert text.count("\nBootstrap:") == 0
    assert "{{" not in text


def test_definition__proxy_and_mirrors_of_a_site() -> None:
    text = definition(recipe(proxy="http://p:3128", pip_index="https://m/simple"), version="1")
    assert "    export https_proxy=http://p:3128\n" in text
    assert "pip install --index-url https://m/simple setuptools==" in text


def test_versions__have_a_row_for_each_combination() -> None:
    rows = {
        (row["base"], row["mpi"], row["from"], row["device"], row["comm"])
        for row in versions()["built"]
    }
    for family, device, comm in product(
        ("openmpi", "mpich"), ("cpu", "cuda", "rocm"), ("horovod", "ddp")
    ):
        assert ("docker", family, "source", device, comm) in rows
