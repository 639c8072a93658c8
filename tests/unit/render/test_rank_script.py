"""rank.sh under the recorded environments of all launchers, and the GPUs it leaves to a rank."""

import subprocess
from pathlib import Path

import pytest

from hpctrain.render.script import rank_script
from tests.jobs import mantle

from .recorded import FOUND, OPEN_MPI, REFUSED, slurm_step

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_SIZE")


@pytest.fixture(params=["sh", "bash"])
def shell(request):
    """dash (Debian's sh) and bash in its POSIX mode."""
    return ["sh"] if request.param == "sh" else ["bash", "--posix"]


def start(folder: Path, env: dict[str, str], *settings: str, site: str = "local", shell=("sh",)):
    """Run `env` behind rank.sh; returns the finished process."""
    resolved = mantle(site, *settings)
    script = folder / "rank.sh"
    script.write_text(rank_script(resolved.job, resolved.site))
    command = [*shell, str(script), "/usr/bin/env"]
    return subprocess.run(
        command, env={"PATH": "/usr/bin:/bin", **env}, capture_output=True, text=True
    )


def variables(done: subprocess.CompletedProcess) -> dict[str, str]:
    assert done.returncode == 0, done.stderr
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


@pytest.mark.parametrize("case", FOUND)
def test_rank_script__finds_its_place(tmp_path, shell, case):
    env, expected = FOUND[case]
    found = variables(start(tmp_path, env, shell=shell))
    assert tuple(int(found[f"HPCTRAIN_{name}"]) for name in NAMES) == expected
    plain = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    assert tuple(int(found[name]) for name in plain) == expected


@pytest.mark.parametrize("case", REFUSED)
def test_rank_script__refuses_to_guess(tmp_path, case):
    env, message = REFUSED[case]
    done = start(tmp_path, env)
    assert done.returncode == 5
    assert message in done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


def open_mpi(local_rank: int, visible: str | None = None) -> dict[str, str]:
    env = {
        **OPEN_MPI,
        "OMPI_COMM_WORLD_RANK": str(local_rank),
        "OMPI_COMM_WORLD_LOCAL_RANK": str(local_rank),
    }
    return env if visible is None else {**env, "CUDA_VISIBLE_DEVICES": visible}


def mask(folder: Path, env: dict[str, str], *settings: str, site: str = "local") -> str:
    done = start(folder, env, "resources.gpus_per_rank=1", *settings, site=site)
    return variables(done)["CUDA_VISIBLE_DEVICES"]


@pytest.mark.parametrize(
    ("site", "local_rank", "visible", "expected"),
    [
        ("local", 0, None, "0"),
        ("local", 3, None, "3"),
        ("polaris", 0, None, "3"),
        ("polaris", 3, None, "0"),
        ("polaris", 1, "0,1,2,3", "2"),
        ("polaris", 1, "GPU-a,GPU-b,GPU-c,GPU-d", "GPU-c"),
        ("polaris", 1, "0,3", "3"),
        ("perlmutter", 2, "0,1,2,3", "2"),
        ("local", 1, "4,6,7", "6"),
        ("local", 1, "2", "2"),
        ("local", 2, "GPU-123", "GPU-123"),
    ],
)
def test_rank_script__one_gpu_a_rank(tmp_path, site, local_rank, visible, expected):
    assert mask(tmp_path, open_mpi(local_rank, visible), site=site) == expected


@pytest.mark.parametrize(
    ("site", "local_rank", "visible", "expected"),
    [
        ("local", 1, None, "2,3"),
        ("polaris", 0, None, "3,2"),
        ("polaris", 1, None, "1,0"),
        ("local", 1, "4,5,6,7", "6,7"),
        ("local", 1, "6,7", "6,7"),
    ],
)
def test_rank_script__two_gpus_a_rank(tmp_path, site, local_rank, visible, expected):
    env = open_mpi(local_rank, visible)
    assert mask(tmp_path, env, "resources.gpus_per_rank=2", site=site) == expected


@pytest.mark.parametrize(("local_rank", "visible"), [(2, "0,1"), (3, "0,1,2"), (0, "")])
def test_rank_script__too_few_gpus(tmp_path, local_rank, visible):
    done = start(tmp_path, open_mpi(local_rank, visible), "resources.gpus_per_rank=1")
    assert done.returncode == 5
    assert "CUDA_VISIBLE_DEVICES shows" in done.stderr
    assert "lower ranks_per_node or gpus_per_rank" in done.stderr


def test_rank_script__slurm_gave_no_gpu(tmp_path):
    done = start(tmp_path, open_mpi(0, "NoDevFiles"), "resources.gpus_per_rank=1")
    assert (done.returncode, done.stdout) == (5, "")
    assert "Slurm gave this job no GPU (CUDA_VISIBLE_DEVICES=NoDevFiles)" in done.stderr


@pytest.mark.parametrize("visible", ["0,1", "NoDevFiles"])
def test_rank_script__a_job_without_gpus_sees_none(tmp_path, visible):
    found = variables(start(tmp_path, open_mpi(0, visible)))
    assert found["CUDA_VISIBLE_DEVICES"] == ""


def test_rank_script__as_many_gpus_as_the_order_names(tmp_path):
    site = tmp_path / "mine.yaml"
    site.write_text(
        "name: x\ntitle: x\nscheduler: local\ngpu_order: [2, 1, 0]\nlauncher: {kind: openmpi}\n"
    )
    assert mask(tmp_path, open_mpi(0), site=str(site)) == "2"


def test_rank_script__a_machine_without_gpus_is_left_alone(tmp_path):
    site = tmp_path / "cpu.yaml"
    site.write_text(
        "name: cpu\ntitle: x\nscheduler: local\nmask_variable: null\nlauncher: {kind: openmpi}\n"
    )
    assert "CUDA_VISIBLE_DEVICES" not in variables(start(tmp_path, open_mpi(0), site=str(site)))


def test_rank_script__other_vendors_variable(tmp_path):
    site = tmp_path / "amd.yaml"
    site.write_text(
        "name: amd\ntitle: x\nscheduler: local\ngpus_per_node: 4\ngpu_order: [2, 3, 0, 1]\n"
        "mask_variable: ROCR_VISIBLE_DEVICES\nlauncher: {kind: openmpi}\n"
    )
    found = variables(start(tmp_path, open_mpi(1), "resources.gpus_per_rank=1", site=str(site)))
    assert found["ROCR_VISIBLE_DEVICES"] == "3"
    assert "CUDA_VISIBLE_DEVICES" not in found


def test_rank_script__becomes_the_program(tmp_path):
    resolved = mantle()
    (tmp_path / "rank.sh").write_text(rank_script(resolved.job, resolved.site))
    command = [
        "sh",
        str(tmp_path / "rank.sh"),
        "sh",
        "-c",
        'echo "$$ $1"; exit 75',
        "x",
        "a b * $HOME",
    ]
    env = {"PATH": "/usr/bin:/bin", "HPCTRAIN_LAUNCHER": "none"}
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    out, _ = process.communicate()
    assert (out, process.returncode) == (f"{process.pid} a b * $HOME\n", 75)


def test_rank_script__slurm_step_with_a_gpu_each(tmp_path):
    env = {**slurm_step(3, 3, 0, 4, "4"), "CUDA_VISIBLE_DEVICES": "0"}
    assert mask(tmp_path, env, site="perlmutter") == "0"


OURS = "{tmp}"
"""TMPDIR of the test below."""


@pytest.mark.parametrize(
    ("engine", "users", "expected"),
    [
        ("apptainer", {}, (OURS, None)),
        ("apptainer", {"APPTAINER_BIND": "/a"}, (f"/a,{OURS}", None)),
        ("apptainer", {"SINGULARITY_BIND": "/s"}, (None, f"/s,{OURS}")),
        ("apptainer", {"SINGULARITY_BIND": ""}, (None, OURS)),
        ("apptainer", {"APPTAINER_BIND": "/a", "SINGULARITY_BIND": "/s"}, (f"/a,{OURS}", "/s")),
        ("apptainer", {"APPTAINER_BIND": "", "SINGULARITY_BIND": "/s"}, (OURS, "/s")),
        ("singularity", {}, (None, OURS)),
        ("singularity", {"SINGULARITY_BIND": "/s"}, (None, f"/s,{OURS}")),
        ("singularity", {"APPTAINER_BIND": "/a"}, (f"/a,{OURS}", OURS)),
        ("singularity", {"APPTAINER_BIND": ""}, (OURS, OURS)),
        (
            "singularity",
            {"APPTAINER_BIND": "/a", "SINGULARITY_BIND": "/s"},
            (f"/a,{OURS}", f"/s,{OURS}"),
        ),
    ],
)
def test_rank_script__shows_tmpdir_beside_what_users_bind(tmp_path, shell, engine, users, expected):
    """Seen with Apptainer 1.4.5: SINGULARITY_BIND counts where APPTAINER_BIND is not set at all.

    The names with PATH at their end add to either, so they need no care.
    """
    place = "/proc/self"  # a folder outside of /tmp on any machine
    env = {**open_mpi(0), "TMPDIR": place, **users, "APPTAINER_BINDPATH": "/p"}
    settings = ("container.image=x.sif", f"container.engine={engine}")
    found = variables(start(tmp_path, env, *settings, shell=shell))
    names = ("APPTAINER_BIND", "SINGULARITY_BIND")
    wanted = tuple(text and text.replace(OURS, place) for text in expected)
    assert tuple(found.get(name) for name in names) == wanted
    assert found["APPTAINER_BINDPATH"] == "/p"


@pytest.mark.parametrize("place", [None, "/tmp", "/tmp/job", "/no/such", "relative", "/proc/a:b"])
def test_rank_script__leaves_binds_alone_where_tmpdir_needs_none(tmp_path, place):
    env = {**open_mpi(0), "SINGULARITY_BIND": "/s", **({"TMPDIR": place} if place else {})}
    found = variables(start(tmp_path, env, "container.image=x.sif", "container.engine=apptainer"))
    assert (found.get("APPTAINER_BIND"), found["SINGULARITY_BIND"]) == (None, "/s")
