"""Run scripts whose ranks torchrun starts."""

import re
import subprocess

import pytest

from hpctrain.errors import RenderError
from hpctrain.render.script import needs_pbs_rsh, run_script
from tests.jobs import BATCH, inputs, mantle

TORCHRUN = "launch.launcher=torchrun"


def script(site: str, *settings: str) -> str:
    given = (*BATCH, TORCHRUN, *settings) if site != "local" else (TORCHRUN, *settings)
    resolved = mantle(site, *given)
    return run_script(resolved.job, resolved.site, inputs())


def command(text: str) -> str:
    return " ".join(re.search(r"^command=\(\n(.*?)^\)", text, re.M | re.S)[1].split())


def test_torchrun__one_node_needs_no_launcher():
    text = script("local", "resources.ranks_per_node=2")
    assert command(text) == (
        "/home/user/venv/bin/python -m torch.distributed.run --standalone --nproc-per-node 2 "
        '--max-restarts 0 --no-python /bin/sh "$run/rank.sh" '
        '/home/user/venv/bin/python -m hpctrain.train "$run"'
    )
    assert "HPCTRAIN_LAUNCHER=none" not in text
    assert "rendezvous" not in text


def test_torchrun__agents_are_started_by_the_sites_launcher():
    found = command(script("frontier", "resources.gpus_per_rank=1"))
    assert found.startswith("srun --nodes=2 --ntasks=2 --ntasks-per-node=1 --cpus-per-task=32 ")
    assert (
        "-m torch.distributed.run --nnodes 2 --rdzv-backend c10d "
        '--rdzv-endpoint "$rendezvous" --rdzv-id "$HPCTRAIN_LAUNCH_ID" --nproc-per-node 4'
    ) in found


def test_torchrun__usr1_is_not_sent_to_agents_which_it_would_kill():
    assert 'kill -USR1 "$pid"' in script("frontier", "launch.launcher=srun")
    assert 'kill -USR1 "$pid"' not in script("frontier")


def test_torchrun__agents_and_ranks_are_inside_the_image():
    found = command(script("polaris", "resources.gpus_per_rank=1", "container.image=x.sif"))
    order = ["mpiexec", "apptainer", "torch.distributed.run", '"$run/rank.sh"', "hpctrain.train"]
    assert [found.split().index(word) for word in order] == sorted(
        found.split().index(word) for word in order
    )
    assert found.count("apptainer") == 1


def test_torchrun__a_launcher_that_cannot_start_one_a_node():
    with pytest.raises(RenderError, match="ibrun starts 4, as many as the job has tasks there"):
        script("vista", "resources.ranks_per_node=4", "launch.comm=ddp")
    assert "ibrun -n 2 -o 0" in command(script("vista", "resources.ranks_per_node=1"))


@pytest.mark.parametrize(("site", "needed"), [("generic-pbs", True), ("polaris", False)])
def test_torchrun__pbs_starts_agents_through_its_own_shell(site, needed):
    resolved = mantle(site, *BATCH, TORCHRUN)
    assert needs_pbs_rsh(resolved.job, resolved.site) is needed


def rendezvous(folder, site: str, env: dict[str, str]) -> str:
    text = script(site)
    start = text.index("# torchrun's agents")
    lines = text[start : text.index("\n", text.index("rendezvous=", start))]
    tools = folder / "scontrol"
    tools.write_text("#!/bin/sh\necho nid07\necho nid09\n")
    tools.chmod(0o755)
    done = subprocess.run(
        ["bash", "-euc", f"{lines}\necho $rendezvous"],
        env={"PATH": f"{folder}:/usr/bin:/bin", "run": "/home/x", **env},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("site", ["generic-slurm", "generic-pbs", "generic-cobalt"])
def test_rendezvous__first_node_and_a_port_of_the_jobs_own(tmp_path, site):
    (tmp_path / "nodes").write_text("nid07\nnid07\nnid09\n")
    env = {"SLURM_JOB_NODELIST": "nid0[7,9]", "PBS_NODEFILE": str(tmp_path / "nodes")}
    env["COBALT_NODEFILE"] = env["PBS_NODEFILE"]
    found = [rendezvous(tmp_path, site, {**env, "job_id": job}) for job in ("7", "7", "8")]
    assert found[0] == found[1] != found[2]
    assert all(re.fullmatch(r"nid07:(1[5-9]|2\d|3[01])\d{3}", text) for text in found)


@pytest.mark.parametrize("site", ["generic-pbs", "generic-cobalt"])
def test_rendezvous__a_point_of_a_sweep_has_nodes_of_its_own(tmp_path, site):
    (tmp_path / "all").write_text("nid07\nnid09\n")
    (tmp_path / "own").write_text("nid09\n")
    env = {"PBS_NODEFILE": str(tmp_path / "all"), "HPCTRAIN_HOSTFILE": str(tmp_path / "own")}
    found = rendezvous(tmp_path, site, {**env, "job_id": "7"})
    assert found.startswith("nid09:")


def test_rendezvous__this_host_is_called_as_it_calls_itself(tmp_path):
    name = subprocess.run(["uname", "-n"], capture_output=True, text=True).stdout.strip()
    (tmp_path / "nodes").write_text(f"{name.partition('.')[0]}.hsn.site.org\n")
    env = {"PBS_NODEFILE": str(tmp_path / "nodes"), "job_id": "1"}
    assert rendezvous(tmp_path, "generic-pbs", env).startswith(f"{name}:")
