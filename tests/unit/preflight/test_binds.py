"""What a container would show of a job's files."""

from __future__ import annotations

import pytest

from hpctrain.preflight.binds import bind_findings
from hpctrain.render.texts import with_absolute_paths
from tests.jobs import mantle


@pytest.fixture
def folder(tmp_path):
    for name in ("data", "other", "archive", "scratch"):
        (tmp_path / name).mkdir()
    for i in range(6):
        (tmp_path / "data" / f"mantle{i}.nc").touch()
    return tmp_path


def found(folder, *binds, settings=(), run_dir="jobs/mantle"):
    written = [bind.replace("HERE", str(folder)) for bind in binds]
    container = f"container={{image: x.sif, binds: {written}}}"
    resolved = mantle("local", "data.root=data", container, *settings)
    job = with_absolute_paths(resolved.job, folder)
    return [
        str(f).replace(str(folder), "HERE")
        for f in bind_findings(job, resolved.site, folder / run_dir)
    ]


def test_binds__good_ones_say_nothing(folder):
    assert found(folder) == []
    assert found(folder, "HERE/other:/other:ro", "HERE/data") == []


def test_no_container__nothing_is_said(folder):
    resolved = mantle("local")
    assert list(bind_findings(resolved.job, resolved.site, folder)) == []


@pytest.mark.parametrize(
    ("bind", "words"),
    [
        ("HERE/gone", "error: container.binds: HERE/gone does not exist; create it"),
        ("HERE/other:in", "error: container.binds: 'HERE/other:in': 'in' is no absolute path"),
        ("HERE/other:HERE/data", "error: container.binds: HERE/other and HERE/data are both to be"),
        ("HERE/other:HERE/data/x", "warning: data.root: HERE/data/x is HERE/other in the cont"),
    ],
)
def test_binds__what_is_wrong(folder, bind, words):
    assert found(folder, bind)[0].startswith(words)


def test_data_root__that_another_folder_hides(folder):
    lines = found(folder, "HERE/other:HERE/data")
    assert lines[1] == (
        "error: data.root: HERE/data is HERE/other in the container, by the bind "
        "HERE/other:HERE/data; change that bind"
    )


def test_run_directory__that_cannot_be_written(folder):
    lines = found(folder, "HERE/jobs/mantle::ro")
    assert (
        "error: run directory: HERE/jobs/mantle cannot be written in the container, by the bind "
        "HERE/jobs/mantle::ro; drop `ro`"
    ) in lines


def test_data__links_to_a_folder_that_is_not_bound(folder):
    (folder / "archive" / "mantle9.nc").touch()
    (folder / "data" / "mantle9.nc").symlink_to(folder / "archive" / "mantle9.nc")
    (folder / "data" / "mantle8.nc").symlink_to(folder / "data" / "mantle0.nc")
    assert found(folder) == [
        "error: data.root: HERE/data/mantle9.nc is a link to HERE/archive/mantle9.nc, which no "
        "bind shows in the container; add HERE/archive to container.binds"
    ]
    assert found(folder, "HERE/archive:/a") == found(folder), "at another place the link is broken"
    assert found(folder, "HERE/archive") == []


def test_data__absolute_patterns_are_followed_too(folder):
    (folder / "archive" / "mantle9.nc").touch()
    (folder / "data" / "mantle9.nc").symlink_to(folder / "archive" / "mantle9.nc")
    (folder / "linked").symlink_to(folder / "data")
    wanted = found(folder)
    assert len(wanted) == 1
    for place in ("data", "linked"):
        settings = (f"data.targets=['{folder}/data/*.nc']", f"data.root={place}")
        assert found(folder, settings=settings)[0].endswith(wanted[0][-60:]), place
    assert found(folder, settings=("data.targets=['/elsewhere/*.nc']",)) == []


def test_stage__a_folder_that_cannot_be_written_or_is_not_known(folder):
    staged = ("data.stage=node_local", f"data.stage_dir={folder}/scratch")
    assert found(folder, settings=staged) == []
    assert found(folder, "HERE/scratch::ro", settings=staged)[0].startswith(
        "error: data.stage_dir: HERE/scratch cannot be written in the container"
    )
    (line,) = found(folder, settings=("data.stage=node_local", "data.stage_dir=$TMPDIR"))
    assert line.startswith("note: data.stage_dir: $TMPDIR is known on the nodes only")
