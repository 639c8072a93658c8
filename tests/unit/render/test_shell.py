"""Quoting for the shell."""

import subprocess

import pytest

from hpctrain.errors import RenderError
from hpctrain.launchers import ShellVariable
from hpctrain.render.shell import environment, fill, pack, shquote, shwords

HOSTILE = [
    "a b",
    "$HOME",
    "`id`",
    "$(id)",
    "a;b",
    "'",
    '"',
    "\\",
    "a'b\"c$d`e\\f",
    "*",
    "~",
    "ünï",
    "",
    "#",
    "!x",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_shquote__the_shell_reads_back_the_same(text):
    done = subprocess.run(
        ["sh", "-c", f"printf %s {shquote(text)}"], capture_output=True, text=True
    )
    assert done.stdout == text


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\0b", "\x1b[0m"])
def test_shquote__control_characters_are_refused(text):
    with pytest.raises(RenderError, match="control character"):
        shquote(text)


def test_shquote__variables_are_expanded_in_quotes():
    assert shquote(ShellVariable("PBS_NODEFILE")) == '"$PBS_NODEFILE"'


def test_shwords__quotes_each_word():
    assert shwords("load 'a b' c;d") == "load 'a b' 'c;d'"


def test_pack__keeps_options_with_their_values():
    lines = pack(["mpirun", "-np", "2", "--bind-to", "none", "-x", "A"], width=20)
    assert lines == ["mpirun -np 2", "--bind-to none -x A"]


def test_fill__an_undefined_name_is_an_error_with_its_place():
    with pytest.raises(RenderError, match=r"template rank\.sh\.j2:\d+: '.*': 'site' is undefined"):
        fill("schedulers/rank.sh.j2", {})


def test_fill__a_missing_template():
    with pytest.raises(RenderError, match=r"template schedulers/lsf\.sh\.j2"):
        fill("schedulers/lsf.sh.j2", {})


def test_environment__the_users_template_comes_first(tmp_path, monkeypatch):
    folder = tmp_path / "hpctrain" / "templates" / "schedulers"
    folder.mkdir(parents=True)
    (folder / "local.sh.j2").write_text("{% extends 'schedulers/base.sh.j2' %}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    loader = environment().loader
    assert loader is not None
    assert "extends" in loader.get_source(environment(), "schedulers/local.sh.j2")[0]
    assert "trap" in loader.get_source(environment(), "schedulers/base.sh.j2")[0]
