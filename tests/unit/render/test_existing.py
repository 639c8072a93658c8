"""What is in a run directory that exists."""

from dataclasses import replace

import pytest

from hpctrain.render import CodeTree, render, write_run
from hpctrain.render.existing import (
    changes,
    differences,
    edited_files,
    foreign_paths,
    has_started,
    manifest,
)
from tests.jobs import inputs, mantle


def files(*settings: str, **changed: object):
    resolved = mantle("local", *settings)
    return render(resolved.job, resolved.site, replace(inputs(), **changed))


@pytest.fixture
def run(tmp_path):
    write_run(files(), tmp_path / "mantle")
    return tmp_path / "mantle"


def test_existing__a_fresh_run_directory(run):
    assert changes(files(), run) == []
    assert edited_files(run) == []
    assert list(foreign_paths(run)) == []
    assert not has_started(run)


def test_changes__names_the_files_and_code_last(run):
    code = CodeTree({**inputs().code.files, "hpctrain/new.py": b""}, "abc123", b"")
    found = changes(files("train.epochs=9", code=code), run)
    assert found == ["config.yaml", "code/hpctrain/new.py"]


def test_changes__a_file_that_is_no_longer_rendered(run):
    code = CodeTree({"hpctrain/__init__.py": b""}, "abc123", b"")
    assert changes(files(code=code), run) == ["code/hpctrain/py.typed"]


def test_changes__the_index(run):
    assert changes(files(index_csv="id,split\n1,train\n"), run) == ["index.csv"]


def test_edited_files__changed_or_gone(run):
    (run / "run.sh").write_text("")
    (run / "site.yaml").unlink()
    assert edited_files(run) == ["run.sh", "site.yaml"]


def test_foreign_paths__a_whole_folder_counts_as_one(run):
    (run / "notes" / "deep").mkdir(parents=True)
    (run / "code" / "mine.py").touch()
    (run / "code" / "__pycache__").mkdir()
    (run / "logs").rmdir()
    (run / "logs").symlink_to("/nowhere")
    assert list(foreign_paths(run)) == ["code/mine.py", "logs", "notes"]


@pytest.mark.parametrize("text", [None, "", "[]", "{"])
def test_manifest__none_that_can_be_read(run, text):
    (run / "manifest.json").unlink()
    if text is not None:
        (run / "manifest.json").write_text(text)
    assert manifest(run) == {}
    assert edited_files(run) == []


def test_differences__by_kind_without_what_runs_write(run):
    (run / "run.sh").write_text("")
    (run / "site.yaml").unlink()
    (run / "notes.txt").touch()
    for name in ("STOP", "chain.log", "submitted.log", "followers", ".state.json.17.tmp"):
        (run / name).touch()
    found = [(d.what, d.path) for d in differences(run)]
    assert found == [("edited", "run.sh"), ("removed", "site.yaml"), ("added", "notes.txt")]


def test_differences__links_in_place_of_our_folders(run, tmp_path):
    (run / "code").rename(tmp_path / "code")
    (run / "code").symlink_to(tmp_path / "code")
    (run / "logs").rmdir()
    (run / "logs").symlink_to(tmp_path)
    assert list(differences(run)) == []
