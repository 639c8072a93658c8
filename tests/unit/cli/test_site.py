"""`hpctrain site`: list, show, new, check."""

import pytest

from hpctrain.cli import main
from hpctrain.config.load import read_site
from tests.unit.schedulers.test_machine import CONFIG, SINFO, tool


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A host without a scheduler, and settings of its own."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.setattr("shutil.which", lambda name: _which(tmp_path / "bin" / name))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _which(path):
    return str(path) if path.is_file() else None


@pytest.fixture
def slurm(here):
    for name, text in (("sinfo", SINFO), ("scontrol", CONFIG), ("sbatch", "")):
        tool(here / "bin", name, text)
    return here


def run(*argv: str) -> int:
    with pytest.raises(SystemExit) as info:
        main(("site", *argv))
    return info.value.code or 0


def path_of(here, name: str):
    return here / "settings" / "hpctrain" / "templates" / "sites" / f"{name}.yaml"


def test_new__is_filled_with_what_the_scheduler_says(slurm, capsys):
    assert run("new", "mine") == 0
    assert f"{path_of(slurm, 'mine')}: written" in capsys.readouterr().out
    site, _ = read_site("mine")
    assert (site.name, site.title, site.scheduler) == ("mine", "mine, a Slurm cluster", "slurm")
    assert (site.max_nodes, site.cpus_per_node, site.gpus_per_node) == (16, 4, 4)
    assert [limit.model_dump(mode="json") for limit in site.queues["debug"]] == [
        {"nodes": [1, 2], "walltime": "00:30:00", "min_walltime": None}
    ]
    assert site.queues["mixed"] == []
    assert site.rules["cpu"].gpus_per_node == 0
    assert site.rules["debug"].max_array == 1000
    assert site.defaults == {"resources": {"queue": "regular"}}
    assert site.sources[-1].source.startswith("sinfo, scontrol show config on ")


def test_new__then_check_finds_no_difference(slurm, capsys):
    assert run("new", "mine") == 0
    assert run("check", "mine") == 0
    out = capsys.readouterr().out
    assert "a valid site; sinfo, scontrol show config: no differences" in out
    assert "note: queues.cpu: the machine takes no jobs for it now" in out


def test_check__differences_end_with_2(slurm, capsys):
    assert run("new", "mine") == 0
    tool(slurm / "bin", "sinfo", SINFO.replace("30:00|1-2", "45:00|1-2"))
    capsys.readouterr()
    assert run("check", "mine") == 2
    out = capsys.readouterr().out
    found = "difference: queues.debug: walltime: the file says 00:30:00, the machine 00:45:00"
    assert found in out
    assert ": 1 difference\n" in out


def test_new__without_a_scheduler_is_generic(here, capsys):
    assert run("new", "mine", "--from", "generic-pbs") == 0
    found = capsys.readouterr()
    assert "note: the machine was not asked: qstat: no such program" in found.err
    assert read_site("mine")[0].scheduler == "pbs"
    assert "# hostnames:" in path_of(here, "mine").read_text()


def test_new__keeps_what_the_other_site_says(slurm):
    assert run("new", "mine", "--from", "frontier") == 0
    mine, frontier = read_site("mine")[0], read_site("frontier")[0]
    changes = {"name": "mine", "hostnames": []}
    assert mine == frontier.model_copy(update={**changes, "sources": mine.sources})


def test_new__never_overwrites(slurm, capsys):
    path_of(slurm, "mine").parent.mkdir(parents=True)
    path_of(slurm, "mine").write_text("mine")
    assert run("new", "mine") == 2
    assert "exists; give another name, or remove it" in capsys.readouterr().err
    assert path_of(slurm, "mine").read_text() == "mine"


@pytest.mark.parametrize("name", ["a/b", "../x", "a b", "", "$(id)", "ü", "a\nb"])
def test_new__bad_names_write_nothing(slurm, name, capsys):
    assert run("new", name) == 2
    assert "name: found" in capsys.readouterr().err
    assert not (slurm / "settings").exists()


def test_new__queues_with_words_of_yaml(here):
    tool(here / "bin", "sinfo", "on*|30:00|1-2|2|4|gpu:4|up\n1x: y|30:00|1-2|2|4|(null)|up")
    for name in ("scontrol", "sbatch"):
        tool(here / "bin", name, "")
    assert run("new", "mine") == 0
    assert list(read_site("mine")[0].queues) == ["on", "1x: y"]


def test_new__nonsense_of_the_scheduler_is_a_note(slurm, capsys):
    tool(slurm / "bin", "sinfo", "hello")
    assert run("new", "mine") == 0
    assert "answered what is no list of queues" in capsys.readouterr().err
    assert read_site("mine")[0].queues == {}


def test_check__another_machines_site_is_not_compared(slurm, capsys):
    assert run("check", "frontier") == 0
    out = capsys.readouterr().out
    assert "is none of the site's hosts" in out
    assert "a valid site; not compared with a machine" in out


def test_check__old_facts_are_notes(capsys):
    assert run("check", "theta") == 0
    assert "note: sources.0:" in capsys.readouterr().out


def test_check__a_wrong_file(here, capsys):
    (here / "bad.yaml").write_text("name: bad\ntitle: x\nscheduler: lsf\nlauncher: {kind: x}\n")
    assert run("check", "bad.yaml") == 2
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_list__says_which_are_the_users_own(slurm, capsys):
    assert run("new", "polaris", "--from", "polaris") == 0
    assert run("new", "mine") == 0
    path_of(slurm, "bad").write_text("name: bad\n")
    capsys.readouterr()
    assert run("list") == 0
    assert "  bad              wrong: " in capsys.readouterr().out
    path_of(slurm, "bad").unlink()
    capsys.readouterr()
    assert run("list") == 0
    lines = capsys.readouterr().out.splitlines()
    own = [line for line in lines if line.endswith(")") and "settings" in line]
    assert [line.split()[0] for line in own] == ["mine", "polaris"]
    assert sum(line.startswith("*") for line in lines) == 1


def test_show__a_file(here, capsys):
    text = "name: own\ntitle: x\nscheduler: slurm\nlauncher: {kind: srun}\n"
    (here / "own.yaml").write_text(text)
    assert run("show", "own.yaml") == 0
    assert capsys.readouterr().out == text


def test_new__a_full_disk_leaves_nothing(slurm, capsys, monkeypatch):
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        assert run("new", "mine", "--from", "polaris") == 3
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "cannot be written" in capsys.readouterr().err
    assert not path_of(slurm, "mine").exists()
