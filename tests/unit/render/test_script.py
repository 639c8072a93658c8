"""Run scripts: directives in the form that each parser demands, and safe whatever the values."""

import json
import re
import subprocess

import pytest

from hpctrain.engines.base import CMA, SINGLE_COPY
from hpctrain.errors import ConfigError, RenderError
from hpctrain.render.script import run_script
from tests.jobs import BATCH, inputs, mantle

GPUS = ("resources.gpus_per_rank=1",)


def script(site: str, *settings: str, **given: str) -> str:
    resolved = mantle(site, *BATCH, *settings) if site != "local" else mantle(site, *settings)
    return run_script(resolved.job, resolved.site, inputs(**given))


def directives(text: str, tag: str) -> list[str]:
    return [line.removeprefix(tag + " ") for line in text.splitlines() if line.startswith(tag)]


def test_pbs__directives():
    assert directives(script("polaris", *GPUS), "#PBS") == [
        "-N mantle",
        "-A Project1",
        "-q debug",
        "-l select=2:system=polaris:ncpus=64:mpiprocs=4:ngpus=4",
        "-l place=scatter",
        "-l walltime=01:00:00",
        "-l filesystems=home:eagle",
        "-j oe",
        "-o /home/user/jobs/mantle/logs/",
        "-k doe",
    ]


def test_pbs__parts_of_a_node():
    found = directives(script("generic-pbs"), "#PBS")
    assert "-l select=2:ncpus=32:mpiprocs=4" in found


@pytest.mark.parametrize(
    ("name", "expected"), [("a.b", "a_b"), ("2024", "job_2024"), ("_x", "job__x")]
)
def test_pbs__name_has_only_what_qsub_takes(name, expected):
    assert f"-N {expected}" in directives(script("generic-pbs", f'name="{name}"'), "#PBS")


def test_slurm__directives():
    assert directives(script("perlmutter", *GPUS), "#SBATCH") == [
        "--job-name=mantle",
        "--account=Project1",
        "--qos=debug",
        "--nodes=2",
        "--ntasks-per-node=4",
        "--cpus-per-task=8",
        "--gpus-per-node=4",
        "--time=01:00:00",
        "--output=/home/user/jobs/mantle/logs/%j.out",
        "--open-mode=append",
        "--signal=B:USR1@120",
        "--constraint=gpu",
    ]


SITE = """\
name: mine
title: x
scheduler: slurm
launcher: {kind: srun}
cpus_per_node: 32
whole_nodes: true
directives: {gpus: "--gpus-per-node="}
"""


@pytest.mark.parametrize(("more", "gpus"), [("", 4), ("gpu_order: [5, 4, 3, 2, 1, 0]\n", 6)])
def test_slurm__gpus_are_asked_for_without_a_number_of_the_site(tmp_path, more, gpus):
    (tmp_path / "mine.yaml").write_text(SITE + more)
    found = directives(script(str(tmp_path / "mine.yaml"), *GPUS), "#SBATCH")
    assert f"--gpus-per-node={gpus}" in found


def test_slurm__warning_leaves_most_of_a_short_job():
    assert "--signal=B:USR1@60" in directives(
        script("generic-slurm", "resources.walltime=00:04:00"), "#SBATCH"
    )


def test_cobalt__directives():
    text = script("thetagpu", *GPUS)
    found = [
        "-n 2",
        "-t 60",
        "-q full-node",
        "-A Project1",
        "--jobname mantle",
        "-O /home/user/jobs/mantle/logs/$jobid",
        "--attrs filesystems=home,theta-fs0",
    ]
    assert directives(text, "#COBALT") == found
    lines = text.splitlines()
    assert lines[1 : 1 + len(found)] == [f"#COBALT {words}" for words in found]
    assert not re.search("['\"]", "".join(found))


@pytest.mark.parametrize("site", ["generic-pbs", "generic-slurm", "generic-cobalt", "local"])
def test_script__no_directive_after_the_first_other_line(site):
    lines = script(site).splitlines()
    tagged = [i for i, line in enumerate(lines) if re.match("#(PBS|SBATCH|COBALT)", line)]
    assert tagged == list(range(1, 1 + len(tagged)))
    assert lines[0].startswith("#!")


@pytest.mark.parametrize("site", ["generic-pbs", "generic-slurm", "generic-cobalt"])
@pytest.mark.parametrize("folder", ["/home/a b/x", "/home/$x", "/home/ü", "/home/x;y", "/home/x'y"])
def test_script__folder_that_no_directive_can_hold(site, folder):
    with pytest.raises(RenderError, match="render into a folder whose path has only letters"):
        script(site, run_dir=folder)


def test_script__newline_in_the_folder_is_refused():
    with pytest.raises(RenderError, match="control character"):
        script("local", run_dir="/home/a\nrm -rf x")


@pytest.mark.parametrize("site", ["local", "generic-pbs", "generic-slurm", "generic-cobalt"])
def test_script__a_colon_in_the_folder_would_cut_pythonpath(site):
    with pytest.raises(
        RenderError, match="'/home/a:b' has a ':', at which PYTHONPATH would cut it"
    ):
        script(site, run_dir="/home/a:b")


CONTAINER = "container.image=x.sif"


def test_script__a_comma_in_the_folder_would_cut_bind():
    assert "run=/home/a,b" in script("local", run_dir="/home/a,b")
    with pytest.raises(RenderError, match="',', at which PYTHONPATH or --bind would cut it"):
        script("local", CONTAINER, run_dir="/home/a,b")


@pytest.mark.parametrize("root", ["/data/a:b", "/data/a,b"])
def test_script__data_that_bind_would_cut(root):
    setting = f'data.root="{root}"'
    script("local", setting)
    with pytest.raises(RenderError, match=r"data\.root: .* at which --bind would cut it"):
        script("local", setting, CONTAINER)


@pytest.mark.parametrize("field", ["account", "queue", "filesystems"])
@pytest.mark.parametrize(
    "value", ["a b", "$(id)", "a;b", "a'b", 'a\\"b', "a`id`", "a\\nb", "-x", "a#b"]
)
def test_script__values_of_directives_are_refused(field, value):
    text = f'["{value}"]' if field == "filesystems" else f'"{value}"'
    with pytest.raises(ConfigError, match="cannot hold"):
        script("generic-slurm", f"resources.{field}={text}")


@pytest.mark.parametrize(
    "value", ["a b", "$(touch HIT)", "`touch HIT`", ";touch HIT", "'", '"', "\\", "ü", ""]
)
def test_script__environment_is_literal(tmp_path, value):
    text = script("local", f"launch.env={{X: {json.dumps(value)}}}")
    line = next(line for line in text.splitlines() if line.startswith("export X="))
    done = subprocess.run(
        ["bash", "-c", f'{line}\nprintf %s "$X"'], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout == value
    assert list(tmp_path.iterdir()) == []


def test_script__open_mpi_exports_the_jobs_own_variables():
    assert "-x FOO" in script("generic-pbs", "launch.env={FOO: bar}")
    assert "export FOO=bar" in script("generic-pbs", "launch.env={FOO: bar}")


def test_script__a_single_local_rank_needs_no_mpi():
    text = script("local", "resources.ranks_per_node=1")
    assert "mpirun" not in text
    assert "export HPCTRAIN_LAUNCHER=none" in text


def test_script__container_stands_behind_rank_sh():
    text = script("polaris", *GPUS, "container.image=x.sif", "container.binds=[/scratch]")
    command = text[text.index("command=(") : text.index("\n)\n")]
    words = command.split()
    assert words.index('"$run/rank.sh"') < words.index("apptainer") < words.index("python3")
    assert "--nv" in words
    assert "--bind /scratch" in " ".join(words)
    assert "--cleanenv" not in text
    assert "module load cray-mpich-abi" in text


def test_script__container_without_gpus_has_no_flag():
    assert "--nv" not in script("generic-slurm", "container.image=x.sif")


def test_script__user_code_comes_behind_the_package():
    resolved = mantle()
    given = inputs()
    code = type(given.code)({**given.code.files, "user/losses.py": b""})
    text = run_script(resolved.job, resolved.site, type(given)(**{**vars(given), "code": code}))
    assert 'PYTHONPATH="$run/code:$run/code/user${PYTHONPATH:+:$PYTHONPATH}"' in text


@pytest.mark.parametrize(
    ("container", "settings", "is_set"),
    [
        ("{}", (), True),
        ("{engine: singularity}", (), True),
        ("{}", ("container.engine=singularity",), True),
        ("{one_namespace: true}", (), False),
        ("{abi: bind, library_path: [/mpi]}", (), False),
        ("{mpi: mpich}", (), False),
        ("{engine: charliecloud}", (), False),
        ("{}", ("resources.ranks_per_node=1",), False),
        ("{}", ("launch.launcher=torchrun",), False),
    ],
)
def test_script__ranks_that_cannot_read_each_others_memory_do_not_try(
    tmp_path, container, settings, is_set
):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\ntitle: x\nscheduler: slurm\nlauncher: {kind: srun}\n"
        f"container: {container}\n"
    )
    text = script(str(path), "container.image=x.sif", *settings)
    line = f'export {SINGLE_COPY}="${{{SINGLE_COPY}:-none}}"'
    assert text.splitlines().count(line) == is_set


def script_on(folder, container, image):
    """The run script of an image on a Slurm site whose `container` is this."""
    path = folder / "mine.yaml"
    path.write_text(
        "name: mine\ntitle: x\nscheduler: slurm\nlauncher: {kind: srun}\n"
        f"container: {container}\n"
    )
    return script(str(path), f"container.image={image}")


@pytest.mark.parametrize(
    ("container", "is_set"),
    [
        ("{mpi: mpich}", True),
        ("{mpi: mpich, abi: bind, library_path: [/mpi]}", True),
        ("{mpi: mpich, one_namespace: true}", False),
        ("{}", False),
    ],
)
def test_script__the_same_for_mpich_of_image_and_host(tmp_path, container, is_set):
    text = script_on(tmp_path, container, "x.sif")
    assert text.splitlines().count(f'export {CMA}="${{{CMA}:-0}}"') == is_set


@pytest.mark.parametrize(
    ("container", "is_named"),
    [
        ("{engine: podman-hpc, mpi: mpich}", True),
        ("{engine: podman-hpc, mpi: mpich, one_namespace: true}", False),
        ("{engine: podman-hpc}", False),
    ],
)
def test_script__engine_that_hands_on_nothing_is_told_of_it(tmp_path, container, is_named):
    text = script_on(tmp_path, container, "docker://x:1")
    assert (f"--env {CMA}" in text) == is_named
