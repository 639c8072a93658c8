"""`hpctrain check`, from a job file or a run directory."""

import json
import shutil

import pytest
import yaml

from hpctrain.cli import main
from tests.unit.cli.test_render import JOB, write_npy


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    for i in range(3):
        write_npy(tmp_path / "data" / f"step{i}.npy", i, (2, 16, 16, 16))
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(JOB, sort_keys=False))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*argv: str) -> int:
    with pytest.raises(SystemExit) as info:
        main(argv)
    return info.value.code or 0


PBS = ("--site", "generic-pbs", "--offline")


@pytest.mark.parametrize("site", ["local", "generic-pbs", "generic-slurm", "generic-cobalt"])
def test_check__a_job_that_fits(folder, capsys, site):
    one = ["--set", "resources.ranks_per_node=1"]  # which needs no mpirun
    assert run("check", "small", "--site", site, "--offline", *one) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1].startswith("small: ")
    assert "error" not in out
    assert not (folder / "jobs").exists()


def test_check__says_the_line_of_the_job_file(folder, capsys):
    settings = ("--set", "resources.queue=prod", "--site", "polaris", "--offline")
    assert run("check", "small", *settings) == 2
    lines = capsys.readouterr().out.splitlines()
    assert (
        "error: small.yaml:3: resources: found 1 node for 00:10:00 in queue prod; prod takes 10 to "
        "496 nodes; 10 nodes allow 03:00:00; queues debug, debug-scaling, preemptable, capacity, "
        "demand take it as it is"
    ) in lines
    assert any(line.startswith("error: small.yaml:3: resources.account: is miss") for line in lines)
    assert lines[-1].startswith("small: 2 errors")


def test_check__for_programs(folder, capsys):
    shutil.rmtree(folder / "data")
    assert run("check", "small", *PBS, "--json") == 2
    page = json.loads(capsys.readouterr().out)
    assert (page["job"], page["errors"], page["warnings"]) == ("small", 1, 0)
    (finding,) = page["findings"]
    assert finding["severity"] == "error"
    assert finding["where"] == "small.yaml:8: data.root"


@pytest.mark.parametrize("as_json", [True, False])
def test_check__a_job_file_that_is_wrong(folder, capsys, as_json):
    more = ["--json"] if as_json else []
    assert run("check", "small", *PBS, "--set", "train.epochs=x", "--set", "naem=y", *more) == 2
    found = capsys.readouterr()
    if as_json:
        page = json.loads(found.out)
        assert page["errors"] == 2
        assert page["findings"][0]["where"] == "--set train.epochs=x"
    else:
        assert (found.out, len(found.err.splitlines())) == ("", 2)


def test_check__a_run_directory(folder, capsys):
    assert run("render", "small", "--site", "generic-pbs") == 0
    assert run("check", "jobs/small", "--offline") == 0
    script = folder / "jobs" / "small" / "run.pbs"
    script.write_text(script.read_text().replace("walltime=00:10:00", "walltime=1:90:00"))
    capsys.readouterr()
    assert run("check", "jobs/small", "--offline") == 2
    out = capsys.readouterr().out
    assert "note: jobs/small/run.pbs: was edited since it was rendered" in out
    assert "error: run.pbs:" in out
    assert run("check", "small", *PBS) == 0  # the job file, as it would be rendered


def test_check__a_run_by_its_name_where_there_is_no_job_file(folder, capsys):
    run("render", "small", "--site", "generic-pbs")
    (folder / "small.yaml").unlink()
    assert run("check", "small", "--offline") == 0
    assert run("check", "small", "--offline", "--set", "train.epochs=2") == 2
    assert "have no effect on a run that is rendered" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["nosuch", "", "nosuch/", "data"])
def test_check__no_such_job(folder, capsys, name):
    assert run("check", name) == 2
    err = capsys.readouterr().err
    assert "job" in err
    assert len(err.splitlines()) == 1


def test_render__warns_of_a_template_that_lost_its_directives(folder, capsys):
    (folder / "my.pbs").write_text(
        "{% extends 'schedulers/pbs.sh.j2' %}{% block directives %}{% endblock %}"
    )
    settings = ("--site", "generic-pbs", "--set", "launch.template=my.pbs")
    assert run("render", "small", *settings) == 0
    err = capsys.readouterr().err
    assert "warning: run.pbs: has no line that begins with #PBS" in err
    assert run("check", "small", *settings, "--offline") == 2


def test_render__a_missing_macro_names_template_and_job_file(folder, capsys):
    (folder / "my.pbs").write_text(
        "{% extends 'schedulers/pbs.sh.j2' %}\n{% block prepare %}\necho {{ macros.grnt }}\n"
        "{% endblock %}\n"
    )
    settings = ("--site", "generic-pbs", "--set", "launch.template=my.pbs")
    with (folder / "small.yaml").open("a") as file:
        file.write("macros:\n  grant: abc\n")
    line = (folder / "small.yaml").read_text().splitlines().index("macros:") + 1
    assert run("render", "small", *settings) == 3
    assert capsys.readouterr().err == (
        f"hpctrain: template {folder}/my.pbs:3: 'echo {{{{ macros.grnt }}}}': macros has no "
        f"'grnt'. Did you mean 'grant'?; define it under macros: in small.yaml:{line}\n"
    )
    assert not (folder / "jobs").exists()


@pytest.mark.parametrize("text", ["{", '{"files": 3}'])
def test_check__a_run_directory_whose_manifest_is_torn(folder, capsys, text):
    assert run("render", "small", "--site", "generic-pbs") == 0
    (folder / "jobs" / "small" / "manifest.json").write_text(text)
    capsys.readouterr()
    assert run("check", "jobs/small", "--offline") == 2
    assert "error: jobs/small/manifest.json: cannot be read" in capsys.readouterr().out


def test_check__a_folder_that_is_no_run(folder, capsys):
    assert run("check", "data") == 2
    assert "data: has no manifest.json; give a job file, or a run dir" in capsys.readouterr().err
    assert run("render", "data") == 2
    assert "data: is a folder, and no job file" in capsys.readouterr().err


def test_check__a_misspelt_job_or_site(folder, capsys):
    assert run("check", "smal.yaml") == 2
    assert capsys.readouterr().err.endswith("Did you mean 'small'?\n")
    assert run("check", "small", "--site", "frontir") == 2
    assert capsys.readouterr().err.endswith("Did you mean 'frontier'?\n")
    assert run("check", "small", "--site", "nosuch.yaml") == 2
    assert "nosuch.yaml: no such site file" in capsys.readouterr().err


def test_check__a_block_of_set_is_named_as_such(folder, capsys):
    settings = ("--site", "frontier", "--set", "resources.account=a", "--offline")
    settings += ("--set", "resources.queue=debug", "--set", "chain.max_jobs=3")
    assert run("check", "small", *settings) == 2
    out = capsys.readouterr().out
    assert "error: --set chain.max_jobs=3: chain: queue debug lets no job hand itself in" in out
    settings = ("--site", "polaris", "--set", "resources.account=a", "--offline")
    assert run("check", "small", *settings, "--set", "resources.queue=prodd") == 2
    assert "Did you mean 'prod'?" in capsys.readouterr().out


def test_render__a_wrong_name_is_said_of_the_option_that_gave_it(folder, capsys):
    assert run("render", "small", "--as", "a\nb") == 2
    err = capsys.readouterr().err
    assert err.startswith('hpctrain: --as "a\\nb": name: found ')
    assert len(err.splitlines()) == 1
