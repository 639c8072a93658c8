"""Directives that a job adds."""

import pytest

from hpctrain.config.own_directives import directive_findings, option_keys
from tests.jobs import BATCH, mantle


def found(site: str, line: str, *settings: str):
    resolved = mantle(site, *BATCH, *settings)
    job = resolved.job.model_copy(
        update={"resources": resolved.job.resources.model_copy(update={"directives": [line]})}
    )
    return [(f.severity, f.text) for f in directive_findings(job, resolved.site)]


@pytest.mark.parametrize(
    ("scheduler", "line", "keys"),
    [
        (
            "pbs",
            "-l walltime=1:00:00,filesystems=home -m abe",
            ["-l walltime", "-l filesystems", "-m"],
        ),
        ("pbs", "-lselect=2:ncpus=4", ["-l select"]),
        ("slurm", "-t 10 -N2 --gres=gpu:1", ["--time", "--nodes", "--gres"]),
        ("slurm", "--comment='a -N b'", ["--comment"]),
        ("slurm", "--comment='open", ["--comment"]),
        ("cobalt", "--project x --attrs a=1:b=2", ["-A", "--attrs"]),
    ],
)
def test_keys__names_of_options(scheduler, line, keys):
    assert list(option_keys(line, scheduler)) == keys


@pytest.mark.parametrize(
    ("site", "line", "severity", "words"),
    [
        (
            "generic-pbs",
            "-l walltime=09:00:00",
            "error",
            "PBS takes the first; set resources.wallt",
        ),
        ("generic-pbs", "-j n", "error", "PBS takes the first; leave it out"),
        ("generic-pbs", "-A Other", "error", "set resources.account instead"),
        (
            "generic-slurm",
            "--time=9",
            "warning",
            "replaces --time of the script; set resources.wall",
        ),
        ("generic-slurm", "-N 7", "warning", "replaces --nodes of the script; set resources.nodes"),
        ("thetagpu", "--attrs pubnet=true", "error", "Cobalt takes only one"),
        ("thetagpu", "-t 9", "warning", "replaces -t of the script"),
    ],
)
def test_repeats__are_named(site, line, severity, words):
    ((kind, text),) = found(site, line)
    assert kind == severity
    assert words in text


@pytest.mark.parametrize(
    ("site", "line"),
    [
        ("generic-pbs", "-m abe"),
        ("generic-pbs", "-l singularity_fakeroot=true"),
        ("generic-pbs", "-q other"),  # the job names no queue
        ("generic-slurm", "--mail-type=END"),
        ("generic-cobalt", "--attrs pubnet=true"),
        ("local", "-N 7"),
    ],
)
def test_others__are_left_alone(site, line):
    assert found(site, line) == []


def test_forbidden__with_the_sites_own_word(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "name: mine\ntitle: x\nscheduler: slurm\nlauncher: {kind: srun}\n"
        "directives: {forbidden: ['--gres', '--mem']}\n"
    )
    ((severity, text),) = found(str(tmp_path / "mine.yaml"), "--gres=gpu:4")
    assert severity == "error"
    assert text == "found '--gres=gpu:4'; site mine refuses --gres; leave it out"
    assert found(str(tmp_path / "mine.yaml"), "--mem-per-cpu=1G") == []
