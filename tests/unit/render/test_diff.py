"""`render --diff`."""

import subprocess
from dataclasses import replace

import pytest

from hpctrain.render import CodeTree, render, write_run
from hpctrain.render.diff import diff
from tests.jobs import inputs, mantle


def files(*settings: str, **changed: object):
    resolved = mantle("local", *settings)
    return render(resolved.job, resolved.site, replace(inputs(), **changed))


@pytest.fixture
def run(tmp_path):
    write_run(files(), tmp_path / "mantle")
    return tmp_path / "mantle"


def test_diff__nothing_changed_whatever_the_run_wrote(run):
    (run / "state.json").write_text("{}")
    (run / "logs" / "1.out").touch()
    code = CodeTree(inputs().code.files, "another revision", b"")
    assert list(diff(files(code=code), run)) == []


def test_diff__is_unified_and_patch_can_apply_it(run):
    new = files("train.epochs=9")
    lines = list(diff(new, run))
    assert lines[:2] == ["--- a/config.yaml", "+++ b/config.yaml"]
    assert "-  epochs: 10" in lines
    assert "+  epochs: 9" in lines
    patch = subprocess.run(
        ["git", "apply", "-"], cwd=run, input="\n".join(lines) + "\n", text=True, check=False
    )
    assert patch.returncode == 0
    assert list(diff(new, run)) == []


def test_diff__edits_by_hand_are_seen(run):
    script = run / "run.sh"
    script.write_text(script.read_text() + "echo mine\n")
    assert "-echo mine" in list(diff(files(), run))


def test_diff__files_that_come_and_go(run):
    (run / "rank.sh").unlink()
    code = CodeTree({"hpctrain/__init__.py": b"", "hpctrain/new.py": b"x = 1\n"}, "abc123", b"")
    lines = list(diff(files(code=code), run))
    heads = [(a, b) for a, b in zip(lines, lines[1:], strict=False) if a.startswith("--- ")]
    assert heads == [
        ("--- /dev/null", "+++ b/code/hpctrain/new.py"),
        ("--- a/code/hpctrain/py.typed", "+++ /dev/null"),
        ("--- /dev/null", "+++ b/rank.sh"),
    ]


def test_diff__files_that_are_no_text(run):
    code = CodeTree({**inputs().code.files, "hpctrain/x.bin": b"\xff\x00"}, "abc123", b"")
    assert list(diff(files(code=code), run)) == [
        "Binary files a/code/hpctrain/x.bin and b/code/hpctrain/x.bin differ"
    ]
