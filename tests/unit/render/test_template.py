"""Templates of one's own: found, filled, and wrong in every way."""

from dataclasses import replace

import pytest

from hpctrain.config.check import check
from hpctrain.config.layers import Layers
from hpctrain.errors import ConfigError, RenderError
from hpctrain.render.draft import macros_place
from hpctrain.render.new_template import child_text, templates, write_template
from hpctrain.render.script import run_script
from tests.jobs import BATCH, inputs, mantle

SITES = {"pbs": "generic-pbs", "slurm": "generic-slurm", "cobalt": "generic-cobalt"}


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    folder = tmp_path / "config" / "hpctrain" / "templates"
    folder.mkdir(parents=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return folder


def script(cwd, *settings: str, site: str = "generic-pbs") -> str:
    resolved = mantle(site, *BATCH, *settings)
    check(resolved.job, resolved.site)
    place = macros_place(resolved.layers)
    made = replace(inputs(), cwd=str(cwd), macros_place=place)
    return run_script(resolved.job, resolved.site, made)


MINE = "launch.template=my.pbs"
CHILD = "{% extends 'schedulers/pbs.sh.j2' %}\n{% block prepare %}\n"


def test_template__of_the_users_folder(own, tmp_path):
    (own / "my.pbs").write_text(CHILD + "echo {{ macros.text | shquote }}\n{% endblock %}\n")
    plain, mine = script(tmp_path), script(tmp_path, MINE, "macros.text=a b")
    assert [line for line in mine.splitlines() if line not in plain.splitlines()] == ["echo 'a b'"]


@pytest.mark.parametrize("how", ["relative", "absolute"])
def test_template__of_a_path(tmp_path, how):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "my.pbs").write_text(CHILD + "echo hello\n{% endblock %}\n")
    name = "deep/my.pbs" if how == "relative" else str(tmp_path / "deep" / "my.pbs")
    assert "\necho hello\n" in script(tmp_path, f"launch.template={name}")


def test_template__users_folder_comes_before_a_path(own, tmp_path):
    (own / "my.pbs").write_text(CHILD + "echo folder\n{% endblock %}\n")
    (tmp_path / "my.pbs").write_text(CHILD + "echo path\n{% endblock %}\n")
    assert "echo folder" in script(tmp_path, MINE)


@pytest.mark.parametrize("name", ["nosuch.pbs", "../my.pbs", "/nosuch/my.pbs"])
def test_template__that_is_not_there(tmp_path, name):
    with pytest.raises(RenderError, match=r"launch\.template: .*: no such template; looked in"):
        script(tmp_path, f"launch.template={name}")


def test_template__for_another_scheduler(own, tmp_path):
    (own / "my.pbs").write_text(CHILD + "{% endblock %}")
    with pytest.raises(RenderError, match=r"my\.pbs is for pbs, and this site has slurm"):
        script(tmp_path, MINE, site="generic-slurm")


def test_template__a_block_that_no_parent_has_is_refused(own, tmp_path):
    """Jinja would leave it out without a word."""
    (own / "my.pbs").write_text(CHILD.replace("prepare", "prepar") + "echo x\n{% endblock %}\n")
    with pytest.raises(RenderError, match=r"my\.pbs:2: unknown block 'prepar'.*Did you mean 'prep"):
        script(tmp_path, MINE)
    (own / "my.pbs").write_text(CHILD + "{% block mine %}echo x{% endblock %}\n{% endblock %}\n")
    assert "\necho x\n" in script(tmp_path, MINE), "a block within a known one is kept"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "{{ macros.grnt }}",
            r"macros has no 'grnt'\. Did you mean 'grant'\?; define it under macr",
        ),
        ("{{ walltme }}", r"'walltme' is undefined\. Did you mean 'walltime'\?"),
        ("{{ grant }}", r"'grant' is undefined; a macro of the job is written macros\.grant"),
        ("{{ resources.node }}", r"resources has no 'node'\. Did you mean 'nodes'\?"),
        ("{{ job name }}", r"expected token 'end of print statement', got 'name'"),
        ("{{ macros.grant + 1 }}", "can only concatenate str"),
        ("{{ macros.grant | shqoute }}", "No filter named 'shqoute'"),
        ("{% include 'nosuch' %}", "no such template: nosuch"),
    ],
)
def test_template__wrong_lines_are_named(own, tmp_path, line, words):
    (own / "my.pbs").write_text(f"{CHILD}{line}\n{{% endblock %}}\n")
    with pytest.raises(RenderError, match=words) as info:
        script(tmp_path, MINE, "macros={grant: abc}")
    assert f"{own / 'my.pbs'}:3: " in str(info.value)
    assert len(str(info.value).splitlines()) == 1


def test_template__a_missing_macro_names_the_line_of_the_job_file(own, tmp_path):
    (own / "my.pbs").write_text(CHILD + "{{ macros.grant }}\n{% endblock %}\n")
    with pytest.raises(RenderError, match=r"under macros: in jobs/mantle\.yaml \(add it after lin"):
        script(tmp_path, MINE)
    layers = Layers()
    document = mantle("local").layers.documents[-2]
    document.value["macros"], document.lines[("macros",)] = {"a": 1}, 41
    layers.add(document)
    assert macros_place(layers) == "jobs/mantle.yaml:41"


def test_template__that_extends_itself(own, tmp_path):
    (own / "my.pbs").write_text("{% extends 'my.pbs' %}")
    with pytest.raises(RenderError, match="extends or includes itself"):
        script(tmp_path, MINE)


def test_template__that_is_no_text(own, tmp_path):
    (own / "my.pbs").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RenderError, match=r"template my\.pbs: .*decode"):
        script(tmp_path, MINE)


@pytest.mark.parametrize("scheduler", SITES)
def test_new__changes_only_what_it_says(own, tmp_path, scheduler):
    write_template("mine", scheduler)
    plain = script(tmp_path, site=SITES[scheduler])
    mine = script(tmp_path, "launch.template=mine", site=SITES[scheduler])
    new = [line for line in mine.splitlines() if line not in plain.splitlines()]
    assert new == ["# Lines of your own, before the ranks are started."]


@pytest.mark.parametrize("scheduler", SITES)
def test_new__the_example_in_its_comment_works(own, tmp_path, scheduler):
    comment = child_text("mine", scheduler)
    start, end = comment.index("{% block directives"), comment.index("#}")
    example = "\n".join(line.strip() for line in comment[start:end].splitlines())
    (own / "mine").write_text(f'{{% extends "schedulers/{scheduler}.sh.j2" %}}\n{example}')
    lines = script(tmp_path, "launch.template=mine", site=SITES[scheduler]).splitlines()
    mark = {"pbs": "#PBS ", "slurm": "#SBATCH ", "cobalt": "#COBALT "}[scheduler]
    directives = [i for i, line in enumerate(lines) if line.startswith(mark)]
    assert directives == list(range(1, len(directives) + 1))
    plain = script(tmp_path, site=SITES[scheduler]).splitlines()
    assert len([line for line in plain if line.startswith(mark)]) == len(directives) - 1


@pytest.mark.parametrize(
    "name", ["../x.pbs", "a/b.pbs", ".hidden.pbs", "", "a\nb.pbs", "a b.pbs", "#}.pbs", "$x.pbs"]
)
def test_new__names_that_are_paths(own, name):
    with pytest.raises(ConfigError, match="allowed: a file name"):
        write_template(name, "pbs")
    assert list(own.iterdir()) == []


def test_list__the_users_own_hides_others(own):
    (own / "schedulers").mkdir()
    (own / "schedulers" / "pbs.sh.j2").write_text("x")
    hidden = {name: is_hidden for name, path, is_hidden in templates() if own not in path.parents}
    assert hidden["schedulers/pbs.sh.j2"] is True
    assert hidden["schedulers/slurm.sh.j2"] is False
