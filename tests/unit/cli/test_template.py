"""`hpctrain template`: from a new template to a rendered script."""

import pytest

from hpctrain.cli import main
from hpctrain.render.variables import VARIABLES


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def run(*argv: str) -> int:
    with pytest.raises(SystemExit) as info:
        main(argv)
    return info.value.code or 0


def test_new__writes_and_says_where(here, capsys):
    assert run("template", "new", "my.pbs") == 0
    path = here / "config" / "hpctrain" / "templates" / "my.pbs"
    assert path.read_text().startswith('{% extends "schedulers/pbs.sh.j2" %}\n')
    out = capsys.readouterr().out
    assert f"{path}: written" in out
    assert "--set launch.template=my.pbs" in out
    assert run("template", "list") == 0
    assert f"{path}\n" in capsys.readouterr().out
    assert run("template", "show", "my.pbs") == 0
    assert capsys.readouterr().out == path.read_text()


def test_new__never_overwrites(here, capsys):
    run("template", "new", "my.sh")
    path = here / "config" / "hpctrain" / "templates" / "my.sh"
    path.write_text("mine")
    assert run("template", "new", "my.sh") == 2
    assert path.read_text() == "mine"
    assert "exists; choose another name" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("mine",), "'mine' does not tell its scheduler; add --from pbs"),
        (("mine.pbs", "--from", "lsf"), "unknown scheduler 'lsf'; choose from pbs, slurm"),
        (("../mine.pbs",), "allowed: a file name of letters"),
    ],
)
def test_new__bad_input(here, capsys, argv, words):
    assert run("template", "new", *argv) == 2
    err = capsys.readouterr().err
    assert words in err
    assert len(err.splitlines()) == 1
    assert not (here / "config").exists()


def test_new__a_folder_that_cannot_be_written(here, capsys):
    (here / "config").write_text("a file")
    assert run("template", "new", "my.pbs") == 3
    assert "cannot be written" in capsys.readouterr().err


def test_new__a_configuration_folder_that_is_relative(here, capsys, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", "config")
    assert run("template", "new", "my.pbs") == 2
    assert "XDG_CONFIG_HOME: is no absolute path" in capsys.readouterr().err
    assert not (here / "config").exists()


def test_show__short_names_and_unknown_ones(capsys):
    assert run("template", "show", "pbs") == 0
    assert "#PBS -N" in capsys.readouterr().out
    assert run("template", "show", "schedulers/slrm.sh.j2") == 2
    err = capsys.readouterr().err
    assert "Did you mean 'schedulers/slurm.sh.j2'?" in err


def test_vars__all_of_them(capsys):
    assert run("template", "vars") == 0
    out = capsys.readouterr().out
    assert all(f"\n{name}: " in f"\n{out}" for name in VARIABLES)


def test_vars__with_the_values_of_a_job(here, capsys):
    run("init", "mantle")
    capsys.readouterr()
    assert run("template", "vars", "mantle", "--site", "polaris", "--set", "macros.x=a b") == 0
    out = capsys.readouterr().out
    assert "    macros.x = 'a b'\n" in out
    assert "    resources.walltime = 3600\n" in out
    assert f"    run_dir = '{here.resolve()}/jobs/mantle'\n" in out
    assert run("template", "vars", "nosuch") == 2
