"""Which site is this host?"""

import pytest

from hpctrain.config.load import read_site, site_names
from hpctrain.schedulers import SCHEDULERS, detect_site, find_scheduler, scheduler_of


def detect(host: str, *commands: str) -> str:
    sites = [read_site(name)[0] for name in site_names()]
    return detect_site([host], sites, lambda name: f"/bin/{name}" if name in commands else None)


@pytest.mark.parametrize(
    ("host", "site"),
    [
        ("polaris-login-02", "polaris"),
        ("x3006c0s13b0n0", "polaris"),
        ("login07.chn.perlmutter.nersc.gov", "perlmutter"),
        ("thetagpusn1", "thetagpu"),
    ],
)
def test_detect_site__host_name_comes_first(host, site):
    assert detect(host, "sbatch", "qsub") == site


@pytest.mark.parametrize(
    ("commands", "site"),
    [
        (("sbatch",), "generic-slurm"),
        (("sbatch", "qsub", "pbsnodes"), "generic-slurm"),
        (("qsub", "pbsnodes"), "generic-pbs"),
        (("qsub", "cqsub"), "generic-cobalt"),
        (("cqstat",), "generic-cobalt"),
        (("qsub",), "local"),
        ((), "local"),
    ],
)
def test_detect_site__then_the_commands_that_are_there(commands, site):
    assert detect("node1", *commands) == site


@pytest.mark.parametrize(
    ("commands", "around", "site"),
    [
        (("sbatch", "qsub", "pbsnodes"), "pbs", "generic-pbs"),
        (("sbatch", "qsub", "cqsub"), "cobalt", "generic-cobalt"),
        (("sbatch", "qsub", "pbsnodes"), "slurm", "generic-slurm"),
        ((), "pbs", "local"),  # a rendered script is of no use where nothing takes it
    ],
)
def test_detect_site__inside_a_job(commands, around, site):
    sites = (read_site(name)[0] for name in site_names())
    which = {name: f"/bin/{name}" for name in commands}.get
    assert detect_site(["node1"], sites, which, around) == site


def test_find_scheduler__every_site_has_one():
    for name in site_names():
        site, _ = read_site(name)
        assert find_scheduler(site.scheduler).name == site.scheduler


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pbs", ["qsub", "r"]),
        ("slurm", ["sbatch", "r"]),
        ("cobalt", ["qsub", "r"]),
        ("local", ["r"]),
    ],
)
def test_submit_command(name, words):
    assert find_scheduler(name).submit_command("r") == words


def test_schedulers__generic_sites_exist():
    assert {s.generic_site for s in SCHEDULERS} <= set(site_names())


def test_scheduler_of__the_script_tells(tmp_path):
    assert scheduler_of(tmp_path) is None
    (tmp_path / "run-1.slurm").touch()
    assert scheduler_of(tmp_path).name == "slurm"


def test_scheduler_of__of_several_scripts_the_one_that_was_rendered(tmp_path):
    for name in ("run.slurm", "run.pbs"):
        (tmp_path / name).touch()
    (tmp_path / "manifest.json").write_text('{"files": {"run.pbs": "x"}}')
    assert scheduler_of(tmp_path).name == "pbs"
    (tmp_path / "manifest.json").write_text("{")
    assert scheduler_of(tmp_path).name == "slurm"
