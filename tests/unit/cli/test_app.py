"""The program as a whole: errors, exit codes, and what starting it imports."""

import subprocess
import sys

import pytest

from hpctrain import __version__
from hpctrain.cli import main
from tests.jobs import REPO

HEAVY = {
    "torch",
    "numpy",
    "h5py",
    "mpi4py",
    "horovod",
    "scipy",
    "matplotlib",
    "yaml",
    "jinja2",
    "pydantic",
}


def run(*argv: str) -> int:
    with pytest.raises(SystemExit) as info:
        main(argv)
    return info.value.code or 0


def test_main__version(capsys):
    assert run("--version") == 0
    assert capsys.readouterr().out == f"hpctrain {__version__}\n"


def test_main__an_error_is_one_line_with_its_exit_code(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("render", "nosuch") == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.startswith("hpctrain: nosuch: no such job file")
    assert len(found.err.splitlines()) == 1


def test_main__several_faults_are_a_line_each(capsys, monkeypatch):
    monkeypatch.chdir(REPO)
    assert run("show", "mantle", "--set", "train.epochs=x", "--set", "naem=y") == 2
    assert [line[:10] for line in capsys.readouterr().err.splitlines()] == ["hpctrain: "] * 2


def test_main__what_the_system_refuses_is_one_line(capsys, tmp_path):
    (tmp_path / "file").touch()
    assert run("sample", "mantle", "--steps", "1", "--out", str(tmp_path / "file" / "data")) == 1
    err = capsys.readouterr().err
    assert err == f"hpctrain: {tmp_path / 'file' / 'data'}: Not a directory (--debug shows where)\n"


@pytest.mark.parametrize("argv", [("--debug", "render", "nosuch"), ("render", "nosuch", "--debug")])
def test_main__debug_shows_the_traceback(argv, tmp_path, monkeypatch):
    from hpctrain.errors import ConfigError

    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError):
        main(argv)


@pytest.mark.parametrize("argv", [("frobnicate",), ("render",), ("render", "x", "--nope")])
def test_main__wrong_usage_is_exit_code_2(argv, capsys):
    assert run(*argv) == 2
    assert "Usage: hpctrain" in capsys.readouterr().err


def imported(code: str) -> set[str]:
    command = [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import__the_command_line_is_light():
    assert not imported("import hpctrain.cli") & HEAVY


def test_import__rendering_needs_nothing_of_the_torch_side():
    code = "import hpctrain.render, hpctrain.schedulers, hpctrain.config.load, hpctrain.index"
    loaded = imported(code)
    assert not loaded & (HEAVY - {"yaml", "jinja2", "pydantic"})
    rooms = ("train", "tasks", "comm", "data", "models", "losses", "analysis", "samples")
    assert not {f"hpctrain.{room}" for room in rooms} & loaded


def test_main__a_reader_that_has_gone_is_no_traceback():
    command = f"{sys.executable} -m hpctrain schema | head -n 1"
    done = subprocess.run(["bash", "-c", command], cwd=REPO, capture_output=True, text=True)
    assert done.stdout == "{\n"
    assert done.stderr == ""


def test_module__runs_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "hpctrain", "--version"], cwd=REPO, capture_output=True
    )
    assert done.stdout.decode() == f"hpctrain {__version__}\n"
