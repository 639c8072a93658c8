"""Messages that name a file by both of its paths."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from hpctrain.train.faults.places import Places
from hpctrain.train.run import Run
from tests.jobs import mantle

INSIDE = {"APPTAINER_CONTAINER": "/images/x.sif"}


def job(*settings: str):
    container = "container={image: x.sif, binds: ['/lustre/p:/p', '/opt:/opt']}"
    return mantle("local", container, "data.root=/home/u/link", *settings).job


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    (tmp_path / "site.yaml").write_text(yaml.safe_dump(mantle("polaris").site.model_dump()))
    return tmp_path


def test_outside__nothing_is_added(run_dir):
    assert Places.of(job(), run_dir, {}).explained("/p/a.nc: gone") == "/p/a.nc: gone"
    bare = mantle("local").job
    assert Places.of(bare, run_dir, INSIDE).explained("/p/a.nc: gone") == "/p/a.nc: gone"


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("/p/a.nc: gone", "/p/a.nc is /lustre/p/a.nc on the host"),
        ("file /opt/x, too", "/opt/x is the same on the host"),
        ("'/home/u/link/a.nc': gone", "/home/u/link/a.nc is the same on the host"),
        (
            "/usr/a: gone",
            "/usr/a is the image's own, unless a bind that the job does not name leads there",
        ),
        ("/var/run/palsd/x: gone", "/var/run/palsd/x is the same on the host"),
    ],
)
def test_inside__the_host_s_path_is_named(run_dir, text, more):
    assert Places.of(job(), run_dir, INSIDE).explained(text) == f"{text} [{more}]"


def test_inside__the_run_directory_is_at_its_own_place(run_dir):
    places = Places.of(job(), run_dir, {"SINGULARITY_CONTAINER": "x"})
    assert "is the same on the host" in places.explained(f"{run_dir}/state.json: x")


def test_no_path__no_words(run_dir):
    assert Places.of(job(), run_dir, INSIDE).explained("loss is nan") == "loss is nan"


def test_copies__the_original_is_named_and_in_a_container_its_place_on_the_host(run_dir):
    places, inside = Places(), Places.of(job(), run_dir, INSIDE)
    for each in (places, inside):
        each.copied(Path("/local/k/files"), Path("/p/set"))
    text = "/local/k/files/a.nc: 'vx' is nan at index [r 1]"
    copy = "/local/k/files/a.nc is this node's copy of /p/set/a.nc"
    assert places.explained(text) == f"{text} [{copy}]"
    assert inside.explained(text) == f"{text} [{copy} is /lustre/p/set/a.nc on the host]"


def test_data_root__is_where_the_binds_show_it(run_dir, tmp_path, monkeypatch):
    shown = tmp_path / "shown"
    shown.mkdir()
    there = job(f"container.binds=['/lustre/p:{shown}']")
    (shown / "set").mkdir()
    places = Places.of(there, run_dir, INSIDE)
    assert places.data_root(Path("/lustre/p/set"), there) == shown / "set"
    # the real path of a root that is a link lies nowhere in the container: the link's place does
    assert places.data_root(Path("/gpfs/real/set"), there) == Path("/home/u/link")
    assert Places().data_root(Path("/lustre/p/set"), there) == Path("/lustre/p/set")


def test_run__reads_the_index_at_that_place(run_dir, monkeypatch):
    from hpctrain.index import Index, Row
    from hpctrain.render import render
    from tests.jobs import inputs

    index = Index(Path("/gpfs/real/set"), (Row.make(id="0", split="train", target="a.nc"),), {})
    files = render(job(), mantle("local").site, inputs())
    (run_dir / "config.yaml").write_bytes(files["config.yaml"].content)
    (run_dir / "index.csv").write_text(index.csv_text)
    (run_dir / "index.json").write_text(index.json_text)
    assert Run(run_dir).read_index().root == Path("/gpfs/real/set")
    monkeypatch.setenv("APPTAINER_CONTAINER", "x.sif")
    assert Run(run_dir).read_index().root == Path("/home/u/link")
