"""What makes a layer beside the text of its definition."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hpctrain.container import inputs
from hpctrain.container.inputs import digest_of_inputs
from hpctrain.errors import ImageError

TEXT = """Bootstrap: docker
From: debian:12

%arguments
    what=wheels
%files
    # a comment
    conf/*.txt /etc/
    "a file" /opt/
    {{ what }} /opt/
    $MINE /opt/mine
%files from first
    /not/here /x
%post
    true
"""
MISSING = TEXT.replace('"a file"', "nowhere")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tmp_path /= "[it]"
    monkeypatch.setenv("MINE", "own")
    for name in ("conf/one.txt", "a file", "wheels/deep/x.whl", "own"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}")
    return tmp_path


def write_alike(path: Path) -> None:
    """Another content of the same size and time."""
    stat = path.stat()
    path.write_text(path.read_text().swapcase())
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_digest__is_the_same_for_the_same(folder: Path) -> None:
    assert digest_of_inputs(TEXT, folder) == digest_of_inputs(TEXT, folder)
    (folder / "beside").touch()
    os.utime(folder / "a file", (1, 1))
    before = digest_of_inputs(TEXT, folder)
    os.utime(folder / "wheels" / "deep" / "x.whl", (2, 2))
    assert digest_of_inputs(TEXT, folder) == before


@pytest.mark.parametrize("name", ["conf/one.txt", "a file", "wheels/deep/x.whl", "own"])
def test_digest__other_content_of_a_file_that_is_copied_in(folder: Path, name: str) -> None:
    before = digest_of_inputs(TEXT, folder)
    write_alike(folder / name)
    assert digest_of_inputs(TEXT, folder) != before


def test_digest__one_more_file_another_name_or_a_right(folder: Path) -> None:
    found = [digest_of_inputs(TEXT, folder)]
    (folder / "conf" / "two.txt").touch()
    found.append(digest_of_inputs(TEXT, folder))
    (folder / "wheels" / "deep" / "x.whl").rename(folder / "wheels" / "y.whl")
    found.append(digest_of_inputs(TEXT, folder))
    (folder / "own").chmod(0o755)
    found.append(digest_of_inputs(TEXT, folder))
    assert len(set(found)) == 4


def test_digest__what_is_not_found_is_never_taken_from_the_cache(folder: Path) -> None:
    assert digest_of_inputs(MISSING, folder) != digest_of_inputs(MISSING, folder)


def test_digest__pipes_and_links_in_a_circle_end(folder: Path) -> None:
    os.mkfifo(folder / "wheels" / "pipe")
    (folder / "wheels" / "again").symlink_to(folder / "wheels")
    assert digest_of_inputs(TEXT, folder) == digest_of_inputs(TEXT, folder)


def test_digest__binds_variables_and_the_machine(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [
        digest_of_inputs(TEXT, folder),
        digest_of_inputs(TEXT, folder, binds=["/etc/pki"]),
        digest_of_inputs(TEXT, folder, binds=["/etc/pki:/pki"]),
        digest_of_inputs(TEXT, folder, env={"A": "b"}),
        digest_of_inputs(TEXT, folder, env={"A": "c"}),
        digest_of_inputs(TEXT, folder, env={"B": "b"}),
    ]
    both = {"A": "b", "B": "c"}
    assert digest_of_inputs(TEXT, folder, env=both) == digest_of_inputs(
        TEXT, folder, env=dict(reversed(both.items()))
    )
    monkeypatch.setattr(inputs.platform, "machine", lambda: "riscv64")
    found.append(digest_of_inputs(TEXT, folder))
    assert len(set(found)) == 7


def test_digest__of_a_local_image(folder: Path) -> None:
    text = "Bootstrap: localimage\nFrom: a file\n\n%post\n    true\n"
    before = digest_of_inputs(text, folder)
    write_alike(folder / "a file")
    assert digest_of_inputs(text, folder) != before
    (folder / "a file").unlink()
    with pytest.raises(ImageError, match="no such image; it is what the definition begins with"):
        digest_of_inputs(text, folder)
