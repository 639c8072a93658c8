"""container.def for each MPI family and device."""

import re
from pathlib import Path

import pytest

from hpctrain.config.load import read_site, site_names
from hpctrain.errors import RenderError
from hpctrain.render.container import PREFIX, definition, versions
from tests.jobs import BATCH, REPO, inputs, mantle

SECTIONS = ["%help", "%labels", "%files", "%environment", "%post", "%test"]
CASES = {
    ("openmpi", "cpu"): ("generic-slurm", ()),
    ("openmpi", "cuda"): ("generic-slurm", ("resources.gpus_per_rank=1",)),
    ("mpich", "cpu"): ("polaris", ()),
    ("mpich", "cuda"): ("polaris", ("resources.gpus_per_rank=1",)),
}


def render(site: str, *settings: str) -> str:
    resolved = mantle(site, *BATCH, *settings)
    return definition(resolved.job, resolved.site, inputs())


@pytest.mark.parametrize("case", CASES)
def test_definition__sections_and_pins(case):
    mpi, device = case
    site, settings = CASES[case]
    text = render(site, *settings)
    lines = text.splitlines()
    assert lines[0] == "Bootstrap: docker"
    assert lines[1].startswith("From: docker.io/")
    assert [line for line in lines if line.startswith("%")] == SECTIONS
    table = versions()
    assert f"hpctrain.mpi {mpi}:{table['mpi'][mpi]['version']}" in text
    assert (
        f"torch=={table['python']['torch']} --index-url {table['device'][device]['torch_index']}"
        in text
    )
    assert ("HOROVOD_GPU_OPERATIONS=NCCL" in text) == (device == "cuda")
    assert not re.search(r"\[\[|\]\]|\[%|%\]|\{\{", text)


@pytest.mark.parametrize("case", CASES)
def test_definition__copies_and_runs_the_build_script(case):
    text = render(CASES[case][0], *CASES[case][1])
    assert f"    code/build_horovod.sh {PREFIX}/\n" in text
    assert f"sh {PREFIX}/build_horovod.sh {PREFIX}/venv/bin/python {PREFIX}/horovod" in text


@pytest.mark.parametrize("name", site_names())
def test_definition__no_bind_of_a_machine_hides_what_was_installed(name):
    site, _ = read_site(name)
    for bind in site.container.binds:
        source, _, rest = bind.partition(":")
        target = Path(rest.partition(":")[0] or source)
        assert target not in (Path(PREFIX), *Path(PREFIX).parents), f"{name} binds {bind}"


@pytest.mark.parametrize("case", CASES)
def test_definition__installs_nothing_elsewhere(case):
    text = render(CASES[case][0], *CASES[case][1])
    assert "/opt" not in text
    assert f"./configure --prefix={PREFIX}/mpi" in text


@pytest.mark.parametrize(
    "module", ["import torch", "import horovod.torch", "from mpi4py import MPI"]
)
def test_definition__tests_what_it_installs(module):
    text = render("generic-slurm")
    assert module in text[text.index("%test") :]


def test_definition__the_post_section_is_a_valid_shell_script():
    import subprocess

    text = render("polaris", "resources.gpus_per_rank=1")
    post = text[text.index("%post") + 5 : text.index("%test")]
    done = subprocess.run(["sh", "-n"], input=post, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_definition__a_device_without_tested_versions_is_refused(tmp_path):
    site = tmp_path / "amd.yaml"
    site.write_text(
        "name: amd\ntitle: x\nscheduler: slurm\nlauncher: {kind: srun}\n"
        "container: {gpu_flag: --rocm}\n"
    )
    with pytest.raises(RenderError, match="no tested versions for rocm; choose from cpu, cuda"):
        render(str(site), "resources.gpus_per_rank=1")


def test_versions__are_those_of_the_constraints():
    constraints = dict(
        line.split("==")
        for line in (REPO / "constraints.txt").read_text().split()
        if "==" in line and not line.startswith("#")
    )
    for name, pin in versions()["python"].items():
        assert constraints[name] == pin, name
