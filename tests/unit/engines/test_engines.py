"""Words of each container engine."""

import pytest

from hpctrain.config.load import read_site
from hpctrain.engines import ENGINES, Box, choose_engine, make_box
from hpctrain.errors import ConfigError, RenderError
from hpctrain.render.shell import shquote
from hpctrain.shell_words import ShellText, ShellVariable
from tests.jobs import mantle

RUN = ShellVariable("run")


def line(engine: str, **box) -> str:
    """A command as the script would have it."""
    return " ".join(map(shquote, ENGINES[engine]().command(Box("i.sif", **box))))


@pytest.mark.parametrize(
    ("engine", "box", "expected"),
    [
        (
            "apptainer",
            {"binds": ["/a", "/b:/c:ro", RUN], "workdir": RUN, "device": "cuda"},
            'apptainer exec --nv --bind /a --bind /b:/c:ro --bind "$run" --pwd "$run" i.sif',
        ),
        (
            "apptainer",
            {"ranks_per_node": 4, "args": ["--fakeroot"], "env": {"A": "1"}},
            "apptainer exec --sharens --fakeroot i.sif",
        ),
        ("singularity", {"device": "rocm"}, "singularity exec --rocm i.sif"),
        (
            "charliecloud",
            {"binds": ["/b:/c:ro", RUN], "workdir": RUN, "device": "cuda", "ranks_per_node": 4},
            'ch-run --join-ct=4 "--join-tag=$HPCTRAIN_LAUNCH_ID" --bind /b:/c --bind "$run" '
            '--cd "$run" --unset-env=LD_LIBRARY_PATH i.sif --',
        ),
        (
            "charliecloud",
            {"library_path": ["/m"], "env": {"A": "x $y"}},
            'ch-run --unset-env=LD_LIBRARY_PATH "--set-env=LD_LIBRARY_PATH=$library_path" '
            r'--env-no-expand "--set-env=A=x \$y" i.sif --',
        ),
    ],
)
def test_command(engine, box, expected):
    assert line(engine, **box) == expected


def test_command__podman_names_every_variable():
    text = line(
        "podman-hpc",
        **{"binds": ["/a", "/b:/c:ro", RUN], "device": "cuda", "env": {"A": "1"}},
        passed=["HPCTRAIN_JOB_ID", "OMP_NUM_THREADS", "PATH", "LD_LIBRARY_PATH"],
        library_path=["/m"],
    )
    start = "podman-hpc run --rm --gpu --network=host --ipc=host --pid=host --userns=keep-id "
    assert start in text
    assert '--volume /a:/a --volume /b:/c:ro --volume "$run:$run"' in text
    for name in ("OMPI_*", "PMIX_*", "SLURM_*", "HPCTRAIN_*", "RANK", "OMP_NUM_THREADS"):
        assert f"--env {shquote(name)} " in text
    assert "--env PATH" not in text
    assert "--env HPCTRAIN_JOB_ID" not in text  # it is among HPCTRAIN_*
    assert text.endswith('--env "LD_LIBRARY_PATH=$library_path" --env A=1 i.sif') or text.endswith(
        '--env "LD_LIBRARY_PATH=$library_path" --env "A=1" i.sif'
    )
    assert "--env PMIX_MCA_gds=hash " in text
    assert "--volume /tmp:/tmp " in text
    assert "--volume /tmp:/tmp " not in line("podman-hpc", binds=["/scratch/me:/tmp"])
    assert "=hash" not in line("podman-hpc", passed=["PMIX_MCA_gds"])
    shared = line("podman-hpc", ranks_per_node=2)
    assert shared.startswith("env PODMANHPC_LOCALID_VAR=HPCTRAIN_LOCAL_RANK ")
    assert " PODMANHPC_TASKS_PER_NODE_VAR=HPCTRAIN_LOCAL_SIZE podman-hpc shared-run " in shared


@pytest.mark.parametrize(
    ("box", "is_shown"),
    [
        ({"binds": ["/scratch/me:/tmp/"]}, False),
        ({"binds": ["/scratch/me://tmp/.:ro"]}, False),
        ({"binds": ["/tmp"]}, True),
        ({"args": ["--volume", "/s:/tmp"]}, False),
        ({"args": ["--volume=/s:/tmp/:rw"]}, False),
        ({"args": ["-v", "/s:/tmp"]}, False),
        ({"args": ["-v/s:/tmp"]}, False),
        ({"args": ["-v=/s:/tmp"]}, False),
        ({"args": ["-v", "/tmp"]}, False),
        ({"args": ["--tmpfs=/tmp"]}, False),
        ({"args": ["--tmpfs", "/tmp:rw,size=1g"]}, False),
        ({"args": ["--mount", "type=bind,source=/s,target=/tmp"]}, False),
        ({"args": ["--mount=type=tmpfs,dst=/tmp/"]}, False),
        ({"args": ["--mount=type=tmpfs,destination=/tmp"]}, False),
        ({"args": ["--mount=type=bind,src=/tmp,dst=/s"]}, True),
        ({"args": ["--tmpfs=/tmp/of/mine"]}, True),
        ({"args": ["--volume", "/tmp:/s"]}, True),
        ({"args": ["--workdir=/tmp", "-v"]}, True),
        ({"binds": ["/tmp:/s", "/s:/tmp/mine"]}, True),
    ],
)
def test_command__podman_shows_tmp_unless_something_else_is_shown_there(box, is_shown):
    """It starts no rank where two have the same target: duplicate mount destination."""
    assert line("podman-hpc", **box).split().count("/tmp:/tmp") == is_shown


@pytest.mark.parametrize("own", ["--userns=auto", "--mpi", "--openmpi-pmix"])
def test_command__podman_leaves_the_user_to_what_the_site_says(own):
    text = line("podman-hpc", args=(own,))
    assert f"--pid=host {own} " in text
    assert "keep-id" not in text


def test_command__podman_takes_names_of_its_store():
    engine = ENGINES["podman-hpc"]()
    assert engine.command(Box("docker://a/b:1"))[-1] == "a/b:1"
    assert engine.inspect("docker://a/b:1")[-1] == "a/b:1"


def test_read_labels__podman_has_a_line_for_each_store():
    engine = ENGINES["podman-hpc"]()
    assert engine.read_labels('{"a": "1"}\n{"a": "2"}\n') == {"a": "1"}
    assert engine.read_labels("null\n") == {}
    with pytest.raises(ValueError, match="lists no such image; pull or migrate it first"):
        engine.read_labels("\n")


def test_shquote__text_with_variables():
    assert shquote(ShellText("a$b`=", RUN, '"')) == '"a\\$b\\`=$run\\""'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"data": {"attributes": {"labels": {"a": 1}}}}', {"a": "1"}),
        ('{"data": {"attributes": {}}}', {}),
    ],
)
def test_read_labels__apptainer(text, expected):
    assert ENGINES["apptainer"]().read_labels(text) == expected


@pytest.mark.parametrize("text", ["[]", '{"data": 1}', '{"data": {"attributes": {"labels": [1]}}}'])
def test_read_labels__something_else(text):
    with pytest.raises(ValueError, match="answered|found"):
        ENGINES["apptainer"]().read_labels(text)


def site_file(tmp_path, container: str) -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\ntitle: x\nscheduler: slurm\nlauncher: {kind: srun}\n"
        f"scratch: /tmp\ncontainer: {container}\n"
    )
    return str(path)


def test_choose_engine__of_the_job_before_the_sites(tmp_path):
    site = site_file(tmp_path, "{engine: charliecloud, args: ['-w'], one_namespace: true}")
    found = mantle(site, "container.image=i.sif")
    assert choose_engine(found.job, found.site).program == "ch-run"
    assert make_box(found.job, found.site, [], "", []).args == ["-w"]
    other = mantle(site, "container.image=i.sif", "container.engine=apptainer")
    assert choose_engine(other.job, other.site).program == "apptainer"
    assert make_box(other.job, other.site, [], "", []).args == ()


def test_make_box__hands_the_gpu_mask_on(tmp_path):
    site = site_file(tmp_path, "{engine: podman-hpc}")
    found = mantle(site, "container.image=docker://a:1", "resources.gpus_per_rank=1")
    words = ENGINES["podman-hpc"]().command(make_box(found.job, found.site, [], "", ["MINE"]))
    places = [i for i, word in enumerate(words) if word in ("MINE", "CUDA_VISIBLE_DEVICES")]
    assert [words[i - 1] for i in places] == ["--env", "--env"]


def test_choose_engine__none_is_refused(tmp_path):
    found = mantle(site_file(tmp_path, "{engine: none}"), "container.image=i.sif")
    with pytest.raises(RenderError, match="has no container engine"):
        choose_engine(found.job, found.site)


@pytest.mark.parametrize(
    ("container", "words"),
    [
        ("{abi: bind}", "needs library_path"),
        ("{library_path: [/a]}", "with abi: bind alone"),
        ("{engine: singularity, one_namespace: true}", "one_namespace needs apptainer"),
        ("{engine: docker}", "docker"),
        ("{args: ['--unset-env=*']}", "would strip the rank variables"),
    ],
)
def test_site_container__refuses(tmp_path, container, words):
    with pytest.raises(ConfigError, match=words):
        read_site(site_file(tmp_path, container))
