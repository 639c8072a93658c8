"""Sweeps on disk: layout, re-rendering, what is never lost."""

import csv
import json
import os

import pytest

from hpctrain import run_state
from hpctrain.errors import ConfigError, RenderError
from hpctrain.render.existing import edited_files
from tests.unit.sweep.builders import GRID, sweep, write


@pytest.fixture
def resolved():
    return sweep({"grid": GRID})


def stamps(folder):
    return {p: p.lstat().st_mtime_ns for p in folder.rglob("*")}


def test_write__one_complete_run_directory_a_point(tmp_path, resolved):
    assert write(tmp_path, resolved).what == "written"
    target = tmp_path / "mantle"
    rows = list(csv.DictReader((target / "sweep.csv").read_text().splitlines()))
    assert [row["name"] for row in rows] == [f"{i:03}" for i in range(6)]
    assert rows[4] == {
        "index": "4",
        "name": "004",
        "train.epochs": "12",
        "train.optimizer.learning_rate": "0.002",
    }
    for row in rows:
        run = target / "points" / row["name"]
        assert run_state.is_run(run)
        assert os.readlink(run / "code") == "../../code"
        assert (run / "code" / "hpctrain" / "py.typed").is_file()
        assert os.access(run / "run.slurm", os.X_OK)
        assert f"run={run}\n" in (run / "run.slurm").read_text()
        assert edited_files(run) == []
    assert os.access(target / "run.slurm", os.X_OK)
    assert json.loads((target / "sweep.json").read_text())["how"] == "array"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mantle"]


def test_write__the_index_is_on_disk_once(tmp_path, resolved):
    write(tmp_path, resolved)
    inodes = {p.stat().st_ino for p in (tmp_path / "mantle").glob("points/*/index.csv")}
    assert len(inodes) == 1


def test_write__an_index_for_each_data_block(tmp_path):
    built = []

    def build(job):
        from pathlib import Path

        from hpctrain.index import Index

        root = job.data.root
        built.append(root)
        return Index(Path(root), (), {"root": root})

    from dataclasses import replace

    from hpctrain.sweep import write_sweep
    from tests.jobs import inputs

    resolved = sweep({"grid": {"data.root": ["/a", "/b"], "train.seed": [1, 2]}})
    given = replace(inputs(run_dir=str(tmp_path / "x")), index_csv="", index_json="")
    write_sweep(resolved, given, tmp_path / "x", build)
    assert built == ["/a", "/b"]
    texts = [p.read_text() for p in sorted((tmp_path / "x").glob("points/*/index.json"))]
    assert texts[0] == texts[1] != texts[2] == texts[3]


def test_write__again_with_nothing_changed(tmp_path, resolved):
    write(tmp_path, resolved)
    before = stamps(tmp_path)
    assert write(tmp_path, resolved).what == "unchanged"
    assert stamps(tmp_path) == before


def test_write__what_is_gone_comes_back(tmp_path, resolved):
    write(tmp_path, resolved)
    target = tmp_path / "mantle"
    (target / "points" / "003" / "rank.sh").unlink()
    (target / "run.slurm").unlink()
    for path in sorted((target / "points" / "005").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    (target / "points" / "005").rmdir()
    assert write(tmp_path, resolved).what == "restored"
    assert os.access(target / "points" / "003" / "rank.sh", os.X_OK)
    assert os.access(target / "run.slurm", os.X_OK)
    assert os.readlink(target / "points" / "005" / "code") == "../../code"
    assert write(tmp_path, resolved).what == "unchanged"


@pytest.mark.parametrize(
    ("spec", "settings"),
    [
        ({"grid": GRID}, ("train.seed=5",)),
        ({"grid": {**GRID, "train.epochs": [11, 13]}}, ()),
        ({"grid": {**GRID, "train.epochs": [11]}}, ()),
        ({"grid": GRID, "max_running": 2}, ()),
        ({"grid": GRID, "how": "throttled"}, ()),
    ],
)
def test_write__a_change_replaces_what_never_started(tmp_path, resolved, spec, settings):
    write(tmp_path, resolved)
    changed = sweep(spec, "generic-slurm", *settings)
    assert write(tmp_path, changed).what == "replaced"
    assert write(tmp_path, changed).what == "unchanged"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mantle"]


def test_write__a_sweep_that_began_is_kept(tmp_path, resolved):
    write(tmp_path, resolved)
    state = tmp_path / "mantle" / "points" / "002" / "state.json"
    state.write_text('{"status": "running"}')
    assert write(tmp_path, resolved).what == "unchanged"
    before = stamps(tmp_path)
    with pytest.raises(RenderError, match=r"has started: 002.*--as mantle-2"):
        write(tmp_path, sweep({"grid": GRID}, "generic-slurm", "train.seed=5"))
    assert stamps(tmp_path) == before


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("points/001/run.slurm", r"points/001/run\.slurm was edited by hand"),
        ("run.slurm", r"run\.slurm was edited by hand"),
        ("code/hpctrain/__init__.py", r"points/000/code/hpctrain/__init__\.py was edited"),
        ("points/001/notes.txt", r"points/001/notes\.txt was not written by render"),
        ("notes.txt", r"notes\.txt was not written by render"),
        ("submitted.log", "has started"),
        ("points/004/submitted.log", "has started: 004"),
    ],
)
def test_write__what_users_did_is_not_lost(tmp_path, resolved, path, words):
    write(tmp_path, resolved)
    with (tmp_path / "mantle" / path).open("a") as file:
        file.write("# mine\n")
    with pytest.raises(RenderError, match=words):
        write(tmp_path, sweep({"grid": GRID}, "generic-slurm", "train.seed=5"))
    assert "# mine" in (tmp_path / "mantle" / path).read_text()


def test_write__over_something_else(tmp_path, resolved):
    (tmp_path / "mantle").mkdir()
    (tmp_path / "mantle" / "file").write_text("x")
    with pytest.raises(RenderError, match="exists and is no sweep"):
        write(tmp_path, resolved)


def test_write__a_wrong_point_writes_nothing(tmp_path):
    with pytest.raises(ConfigError) as info:
        write(tmp_path, sweep({"grid": {"train.epochs": [1, 0, -1, -2, -3, -4, -5]}}))
    lines = str(info.value).splitlines()
    assert sum("sweep point" in line for line in lines) == 5
    assert lines[-1] == "and 1 more points are wrong"
    assert list(tmp_path.iterdir()) == []


def test_write__a_point_that_does_not_fit_the_site(tmp_path):
    resolved = sweep({"grid": {"resources.ranks_per_node": [1, 4]}}, "polaris")
    with pytest.raises(ConfigError, match="resources.account: is missing"):
        write(tmp_path, resolved)


def test_write__an_ensemble_is_checked_with_all_its_nodes(tmp_path):
    settings = ("resources.account=x", "resources.queue=debug", "resources.ranks_per_node=4")
    spec = {"grid": GRID, "how": "ensemble", "max_running": 2}
    outcome = write(tmp_path, sweep(spec, "polaris", *settings))
    assert outcome.plan.slots == 2
    assert "6 points in 2 slots share a walltime" in outcome.notes[-1]
    resolved = sweep(spec, "polaris", *settings, "resources.walltime=02:00:00")
    with pytest.raises(ConfigError, match="2 nodes for 02:00:00 in queue debug"):
        write(tmp_path / "b", resolved)


def test_write__code_is_bound_into_containers(tmp_path):
    resolved = sweep({"grid": GRID}, "generic-slurm", "container.image=a.sif")
    write(tmp_path, resolved)
    text = (tmp_path / "mantle" / "points" / "000" / "run.slurm").read_text()
    assert f"--bind {tmp_path}/mantle/code" in text


def test_write__in_a_folder_with_a_hostile_name(weird_tmp_path):
    resolved = sweep({"grid": GRID}, "local", "resources.ranks_per_node=1")
    write(weird_tmp_path, resolved)
    assert (weird_tmp_path / "mantle" / "points" / "005" / "run.sh").is_file()


def test_write__a_full_or_forbidden_folder(tmp_path, resolved):
    (tmp_path / "file").write_text("")
    with pytest.raises(RenderError, match="cannot be written"):
        write(tmp_path / "file", resolved)


@pytest.mark.parametrize(
    ("kind", "words"),
    [("openmpi", "--hostfile"), ("hydra", "-f"), ("pals", "--hostfile"), ("srun", None)],
)
def test_write__points_of_an_ensemble_can_be_kept_to_their_nodes(tmp_path, kind, words):
    site = tmp_path / "mine.yaml"
    site.write_text(
        f"name: mine\ntitle: x\nscheduler: slurm\nlauncher: {{kind: {kind}}}\nmax_nodes: 2\n"
    )
    write(tmp_path, sweep({"grid": GRID, "how": "ensemble"}, str(site)))
    text = (tmp_path / "mantle" / "points" / "000" / "run.slurm").read_text()
    option = f'  ${{HPCTRAIN_HOSTFILE:+{words} "$HPCTRAIN_HOSTFILE"}}\n'
    assert (option in text) == (words is not None)
    write(tmp_path, sweep({"grid": GRID, "how": "array"}, str(site)), "array")
    assert "HOSTFILE" not in (tmp_path / "array/points/000/run.slurm").read_text()
