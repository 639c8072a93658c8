"""The code that travels with a run."""

import subprocess

import pytest

from hpctrain.errors import RenderError
from hpctrain.render import code


def test_collect__the_package_and_no_caches(tmp_path):
    tree = code.collect([], tmp_path)
    assert {"hpctrain/__init__.py", "hpctrain/py.typed", "hpctrain/train/__main__.py"} <= set(
        tree.files
    )
    assert not any("__pycache__" in name or name.endswith(".pyc") for name in tree.files)
    assert not tree.has_user_code


def test_collect__content_of_a_folder_and_a_package_by_name(tmp_path):
    (tmp_path / "loose").mkdir()
    (tmp_path / "loose" / "losses.py").write_text("x = 1")
    (tmp_path / "pack" / "sub").mkdir(parents=True)
    (tmp_path / "pack" / "__init__.py").touch()
    (tmp_path / "pack" / "sub" / "m.py").touch()
    tree = code.collect(["loose", "pack"], tmp_path)
    own = {name for name in tree.files if name.startswith("user/")}
    assert own == {"user/losses.py", "user/pack/__init__.py", "user/pack/sub/m.py"}
    assert tree.has_user_code


def test_collect__missing_folder(tmp_path):
    with pytest.raises(RenderError, match="code: nowhere: no such folder"):
        code.collect(["nowhere"], tmp_path)


def test_collect__two_folders_with_the_same_file(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "m.py").touch()
    with pytest.raises(RenderError, match=r"m\.py is in another folder too"):
        code.collect(["a", "b"], tmp_path)


def test_collect__data_among_the_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(code, "_MOST_BYTES", 100_000)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "field.npy").write_bytes(b"x" * 200_000)
    monkeypatch.setattr(code, "package_dir", lambda: tmp_path / "none")
    with pytest.raises(RenderError, match="keep data elsewhere"):
        code.collect(["a"], tmp_path)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    package = tmp_path / "repo" / "hpctrain"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("a = 1\n")
    monkeypatch.setattr(code, "package_dir", lambda: package)

    def git(*words):
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(
            ["git", *identity, "-C", str(package), *words], check=True, capture_output=True
        )

    git("init", "--quiet")
    return package, git


def test_collect__revision_and_difference(checkout, tmp_path):
    package, git = checkout
    git("add", ".")
    git("commit", "-qm", "x")
    clean = code.collect([], tmp_path)
    assert clean.revision is not None
    assert len(clean.revision) == 40
    assert clean.diff == b""
    (package / "__init__.py").write_text("a = 2\n")
    (package / "new.py").touch()
    dirty = code.collect([], tmp_path)
    assert dirty.revision == clean.revision
    assert b"+a = 2" in dirty.diff
    assert b"new file: new.py" in dirty.diff


def test_collect__somebody_elses_repository_is_not_ours(checkout, tmp_path):
    tree = code.collect([], tmp_path)  # the package is there, but not tracked
    assert (tree.revision, tree.diff) == (None, b"")
