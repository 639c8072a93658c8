"""Scripts of the doctor's ranks: the run's own, with another program."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hpctrain.errors import RenderError
from hpctrain.render.draft import draft_inputs
from hpctrain.render.probe import probe_files
from hpctrain.render.script import run_script
from hpctrain.render.texts import with_absolute_paths
from tests.jobs import BATCH, mantle


def files(tmp_path: Path, site: str, *settings: str, name: str = "d"):
    resolved = mantle(site, *BATCH, *settings)
    job = with_absolute_paths(resolved.job, tmp_path)
    inputs = draft_inputs(job, tmp_path / name, tmp_path, "/opt/python/bin/python")
    found = probe_files(job, resolved.site, inputs, "/usr/bin/python3", 120)
    return found, run_script(job, resolved.site, inputs)


def command(script: str) -> list[str]:
    """Words of the array `command`, as bash reads them."""
    body = script.partition("command=(\n")[2].partition("\n)\n")[0]
    words = f"run=/run; command=(\n{body}\n); printf '%s\\n' \"${{command[@]}}\""
    return subprocess.check_output(["bash", "-c", words], text=True).splitlines()


@pytest.mark.parametrize("site", ["polaris", "generic-slurm", "generic-pbs", "frontier"])
@pytest.mark.parametrize("container", [(), ("container={image: my.sif}",)])
def test_launch__is_that_of_the_run(tmp_path: Path, site: str, container: tuple[str, ...]) -> None:
    found, run = files(tmp_path, site, *container)
    words = command(run)
    words[words.index("hpctrain.train")] = "hpctrain.probe"
    assert command(found["launch.sh"]) == words


def test_look__inside_the_image_and_outside(tmp_path: Path) -> None:
    found, _ = files(tmp_path, "polaris", "container={image: my.sif}")
    words = command(found["look.sh"])
    assert words[:2] == ["apptainer", "exec"]
    assert words[-2:] == ["python3", "-"]
    assert command(found["host.sh"]) == ["/usr/bin/python3", "-", "mpiexec", "mpirun"]


def test_pbs__remote_shell_comes_along(tmp_path: Path) -> None:
    found, _ = files(tmp_path, "generic-pbs", "resources.nodes=2")
    assert "pbs_tmrsh" in found["pbs_rsh.sh"]
    assert 'plm_rsh_agent="$run/pbs_rsh.sh"' in found["launch.sh"]
    assert "pbs_rsh.sh" not in files(tmp_path, "generic-pbs", "resources.nodes=1")[0]


def test_scripts__are_shell(tmp_path: Path) -> None:
    settings = ("container={image: 'a b $x.sif'}",)
    found, _ = files(tmp_path, "local", *settings, name="d e")
    for text in found.values():
        subprocess.run(["bash", "-n"], input=text, text=True, check=True)


def test_folder__that_python_would_cut(tmp_path: Path) -> None:
    with pytest.raises(RenderError, match="has a ':'"):
        files(tmp_path, "polaris", name="d:e")
