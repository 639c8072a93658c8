"""All checks together, on jobs and on run directories."""

import sys
from dataclasses import replace

import pytest

from hpctrain.preflight import preflight
from hpctrain.render import render, write_run
from tests.jobs import BATCH, inputs, mantle

HERE = f"launch.python={sys.executable}"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    for i in range(6):
        (tmp_path / "data" / f"mantle{i}.nc").touch()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def found(folder, *settings: str, site: str = "generic-pbs", **options):
    resolved = mantle(site, *BATCH, HERE, "data.root=data", *settings)
    return [str(f) for f in preflight(resolved.job, resolved.site, cwd=folder, **options)]


@pytest.fixture
def run(folder):
    """A run directory that has been rendered for PBS."""
    resolved = mantle("generic-pbs", *BATCH, HERE, "data.root=data")
    target = folder / "jobs" / "mantle"
    made = replace(inputs(str(target), sys.executable), cwd=str(folder))
    write_run(render(resolved.job, resolved.site, made), target)
    return target


@pytest.mark.parametrize("site", ["generic-pbs", "generic-slurm", "generic-cobalt", "local"])
def test_preflight__a_job_that_fits(folder, programs, site):
    settings = ("resources.nodes=1", "resources.ranks_per_node=2") if site == "local" else ()
    programs.add("mpirun")
    lines = found(folder, *settings, site=site, is_offline=True)
    assert [line for line in lines if not line.startswith("note")] == []


def test_preflight__everything_at_once_errors_first(folder, programs):
    programs.add("qstat", err="qstat: Unknown queue nosuch", code=170)
    lines = found(
        folder,
        *("data.root=nowhere", "resources.priority=high", "resources.queue=nosuch"),
        *("container={image: x.sif}", "resources.directives=['-N x']", "launch.warning_s=99999"),
    )
    kinds = [line.split(":")[0] for line in lines]
    assert kinds == sorted(kinds, key=["error", "warning", "note"].index)
    wheres = [line.split(": ")[1] for line in lines if line.startswith("error")]
    assert {"data.root", "resources.priority", "container.image", "qstat -Qf nosuch"} <= set(wheres)
    assert "resources.directives.0" in wheres


def test_preflight__offline_asks_no_scheduler(folder, programs):
    programs.add("qstat", err="Unknown queue", code=170)
    programs.add("sbatch", err="refused", code=1)
    assert found(folder, "resources.queue=debug", is_offline=True) == []
    assert found(folder, site="generic-slurm", is_offline=True) == []
    assert programs.words("qstat") == programs.words("sbatch") == []


def test_preflight__a_script_that_cannot_be_rendered(folder, programs):
    (line,) = found(folder, "launch.template=nosuch.pbs")
    assert line.startswith("error: run.pbs: launch.template: nosuch.pbs: no such template")
    assert not (folder / "jobs").exists()


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{% block directives %}{% endblock %}", "error: run.pbs:"),
        ("{% block directives %}\necho early\n{{ super() }}{% endblock %}", "error: run.pbs:"),
    ],
)
def test_preflight__a_template_that_lost_the_directives(folder, programs, template, words):
    (folder / "my.pbs").write_text("{% extends 'schedulers/pbs.sh.j2' %}\n" + template)
    lines = found(folder, "launch.template=my.pbs")
    assert [line for line in lines if line.startswith(words)], lines


def test_preflight__the_script_that_lies_there(run, folder, programs):
    assert found(folder) == []
    script = run / "run.pbs"
    script.write_text(
        script.read_text().replace("#PBS -l walltime=01:00:00", "#PBS -l walltime=1:90:00")
    )
    (run / "rank.sh").unlink()
    lines = found(folder)
    assert any(line.startswith("error: run.pbs:") and "1:90:00" in line for line in lines), lines
    assert f"note: {script.resolve()}: was edited since it was rendered" in lines
    assert any(line.startswith(f"error: {run.resolve()}/rank.sh: is gone") for line in lines)
    assert found(folder, is_rendered=False) == []


def test_preflight__a_log_folder_that_is_gone(run, folder, programs):
    (run / "logs").rmdir()
    assert [line for line in found(folder) if line.startswith("error: run.pbs:") and "logs" in line]


def test_preflight__runs_that_are_waited_for(run, folder, programs):
    job = ("name=next", "after={mantle: ok, other: any}")
    (line,) = found(folder, *job)
    assert line == (
        f"warning: after.other: no run directory {folder}/jobs/other yet; submit that run first"
    )


def test_preflight__another_machines_refusal_is_no_error(folder, programs):
    """Checked on the login node of one machine for another that has the same scheduler."""
    programs.add("qstat", err="qstat: Unknown queue prod", code=170)
    site = folder / "far.yaml"
    site.write_text(
        "name: far\ntitle: x\nscheduler: pbs\nlauncher: {kind: pals}\nhostnames: [login-of-far]\n"
    )
    lines = found(folder, "resources.queue=prod", site=str(site))
    (line,) = [line for line in lines if "Unknown queue" in line]
    assert line.startswith("warning: qstat -Qf prod: ")
    assert "this host is none of those of far" in line
