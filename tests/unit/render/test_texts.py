"""The pure rendering of a run directory."""

import json
from pathlib import Path

import pytest
import yaml

from hpctrain.render import CodeTree, render
from hpctrain.render.inputs import digest
from tests.jobs import inputs, mantle


def files(site: str = "local", *settings: str):
    resolved = mantle(site, *settings)
    return render(resolved.job, resolved.site, inputs())


def test_render__the_same_gives_the_same_bytes():
    assert files() == files()


def test_render__all_parts_are_there():
    assert set(files()) == {
        "run.sh",
        "rank.sh",
        "container.def",
        "config.yaml",
        "site.yaml",
        "index.csv",
        "index.json",
        "manifest.json",
        "state.json",
        "code/SOURCE.json",
        "code/build_horovod.sh",
        "code/hpctrain/__init__.py",
        "code/hpctrain/py.typed",
    }


def test_render__a_definition_for_every_device():
    settings = ("resources.account=x", "resources.gpus_per_rank=1")
    assert b"hpctrain.device rocm" in files("frontier", *settings)["container.def"].content
    assert b"hpctrain.device cpu" in files("frontier", settings[0])["container.def"].content


def test_render__scripts_are_executable_and_nothing_else():
    executable = {name for name, file in files().items() if file.is_executable}
    assert executable == {"run.sh", "rank.sh", "code/build_horovod.sh"}


def test_render__manifest_has_the_digest_of_every_file():
    rendered = files()
    page = json.loads(rendered["manifest.json"].content)
    assert set(page["files"]) == set(rendered) - {"manifest.json", "state.json"}
    for name, recorded in page["files"].items():
        assert recorded == digest(rendered[name].content)
    assert page["inputs"]["index_digest"] == digest(inputs().index_csv.encode())


def test_render__state_has_one_key_a_line():
    assert files()["state.json"].content == b'{\n "status": "rendered"\n}\n'


def test_render__paths_of_the_config_are_absolute():
    settings = ("container.image=img/x.sif", "container.binds=[scratch:/mnt]", "code=[mine]")
    config = yaml.safe_load(files("local", *settings)["config.yaml"].content)
    assert config["data"]["root"] == "/home/user/data/mantle"
    assert config["container"] == {
        "image": "/home/user/img/x.sif",
        "engine": None,
        "copy_to_node": None,
        "binds": ["/home/user/scratch:/mnt"],
    }
    assert config["code"] == ["/home/user/mine"]


def test_render__images_of_a_registry_stay_addresses():
    config = yaml.safe_load(files("local", "container.image=docker://a/b:1")["config.yaml"].content)
    assert config["container"]["image"] == "docker://a/b:1"


def test_render__changed_code_comes_with_its_difference():
    given = inputs()
    code = CodeTree(given.code.files, "abc", b"--- a\n+++ b\n")
    resolved = mantle()
    rendered = render(resolved.job, resolved.site, type(given)(**{**vars(given), "code": code}))
    assert rendered["code/dirty.diff"].content == b"--- a\n+++ b\n"
    source = json.loads(rendered["code/SOURCE.json"].content)
    assert (source["dirty"], source["git_revision"]) == (True, "abc")


def test_render__open_mpi_on_several_pbs_nodes_gets_its_remote_shell():
    assert "pbs_rsh.sh" in files("generic-pbs", "resources.nodes=2")
    assert "pbs_rsh.sh" not in files("generic-pbs")
    assert "pbs_rsh.sh" not in files("generic-slurm", "resources.nodes=2")


def test_code_tree__digest_depends_on_names_and_contents():
    base = CodeTree({"a": b"1", "b": b"2"}).digest
    assert base == CodeTree({"b": b"2", "a": b"1"}).digest
    others = [{"a": b"1", "c": b"2"}, {"a": b"1", "b": b"3"}, {"a": b"1"}, {"a": b"12", "b": b""}]
    assert base not in {CodeTree(files).digest for files in others}


def test_render__nothing_but_the_given_run_dir_is_named():
    text = b"".join(file.content for file in files().values()).decode()
    assert str(Path.cwd()) not in text


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("~/venv/bin/python", "~/venv/bin/python"),
        ("venv/bin/python", "/home/user/venv/bin/python"),
        ("/opt/py/bin/python3", "/opt/py/bin/python3"),
        ("python3", "python3"),
    ],
)
def test_render__the_jobs_own_interpreter(given, expected):
    expected = str(Path(expected).expanduser())
    rendered = files("local", f"launch.python={given}")
    assert yaml.safe_load(rendered["config.yaml"].content)["launch"]["python"] == expected
    script = rendered["run.sh"].content.decode()
    assert f'  {expected} -m hpctrain.train "$run"' in script
    paths = [line for line in script.splitlines() if line.startswith("export PATH=")]
    folder = str(Path(expected).parent)
    assert paths == ([] if given == "python3" else [f'export PATH={folder}:"$PATH"'])
    assert json.loads(rendered["manifest.json"].content)["inputs"]["python"] == expected


def test_render__a_home_that_is_not_there_is_taken_as_it_stands():
    config = yaml.safe_load(files("local", "code=[~nosuchuser/x]")["config.yaml"].content)
    assert config["code"] == ["/home/user/~nosuchuser/x"]
