"""The package as it is installed: a built wheel in a clean environment, far from the checkout."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.e2e.commands import Done, environment
from tests.jobs import REPO
from tests.runs import make_small

_BUILD = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-c", _BUILD, str(folder)], cwd=REPO, check=True)
    (path,) = folder.glob("hpctrain-*.whl")
    return path


def base_distributions(wheel: Path) -> list[metadata.Distribution]:
    """What the wheel needs without extras, and what that needs in turn; from this environment."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith("/METADATA"))
        lines = archive.read(name).decode().splitlines()
    asked = [line.partition(": ")[2] for line in lines if line.startswith("Requires-Dist: ")]
    found: dict[str, metadata.Distribution] = {}
    while asked:
        requirement = Requirement(asked.pop())
        is_needed = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if is_needed and requirement.name not in found:
            found[requirement.name] = metadata.distribution(requirement.name)
            asked += found[requirement.name].requires or []
    return list(found.values())


@pytest.fixture(scope="module")
def venv(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and its base dependencies: what a login node has."""
    folder = tmp_path_factory.mktemp("login") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for distribution in base_distributions(wheel):
        files = distribution.files or []
        for top in {file.parts[0] for file in files} - {"..", "__pycache__"}:
            (site / top).symlink_to(str(distribution.locate_file(top)))
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-index"]
    subprocess.run([*pip, "install", *options, str(wheel)], check=True)
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty folder, which is home as well."""
    return tmp_path


def run(venv: Path, home: Path, *words: str) -> Done[str]:
    env = environment(HOME=str(home), XDG_CONFIG_HOME=str(home / ".config"))
    del env["PATH"]
    env.pop("PYTHONPATH", None)
    env["PATH"] = f"{venv / 'bin'}:/usr/bin:/bin"
    return subprocess.run(
        ["hpctrain", *words], cwd=home, env=env, capture_output=True, text=True, timeout=60
    )


def test_wheel__has_every_template_site_job_and_container_file(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {n for n in archive.namelist() if n.startswith("hpctrain/_data/")}
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPO,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.splitlines()
    if not listed:
        pytest.skip("no git checkout to compare with")
    folders = ("templates/", "containers/", "jobs/")
    assert inside == {f"hpctrain/_data/{name}" for name in listed if name.startswith(folders)}


def test_wheel__runs_that_lie_in_jobs_stay_at_home(wheel: Path, tmp_path: Path) -> None:
    """A checkout in which somebody has worked: data, runs and caches do not travel."""
    for name in ("hpctrain", "templates", "containers", "jobs", "pyproject.toml", "LICENSE"):
        (tmp_path / name).symlink_to(REPO / name)
    (tmp_path / "jobs").unlink()
    (tmp_path / "jobs" / "mantle" / "checkpoints").mkdir(parents=True)
    (tmp_path / "jobs" / "mantle" / "checkpoints" / "state_1.pt").touch()
    (tmp_path / "jobs" / "mantle.yaml").touch()
    (tmp_path / "README.md").touch()
    subprocess.run([sys.executable, "-c", _BUILD, "out"], cwd=tmp_path, check=True)
    (path,) = (tmp_path / "out").glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        jobs = [n for n in archive.namelist() if n.startswith("hpctrain/_data/jobs/")]
    assert jobs == ["hpctrain/_data/jobs/mantle.yaml"]


def test_version_and_sites(venv: Path, home: Path) -> None:
    assert run(venv, home, "--version").stdout.startswith("hpctrain ")
    done = run(venv, home, "site", "list")
    sites = sorted(path.stem for path in (REPO / "templates" / "sites").glob("*.yaml"))
    assert sorted(line[2:].split()[0] for line in done.stdout.splitlines()) == sites
    shown = run(venv, home, "site", "show", "polaris").stdout
    assert shown == (REPO / "templates" / "sites" / "polaris.yaml").read_text()


def test_init__writes_the_shipped_job(venv: Path, home: Path) -> None:
    done = run(venv, home, "init", "mantle")
    assert done.returncode == 0, done.stderr
    assert (home / "mantle.yaml").read_text() == (REPO / "jobs" / "mantle.yaml").read_text()


def test_sample__says_which_extra_it_needs(venv: Path, home: Path) -> None:
    done = run(venv, home, "sample", "mantle")
    assert done.returncode == 2
    assert "pip install 'hpctrain[train,data]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("site", "script"),
    [("local", "run.sh"), ("generic-pbs", "run.pbs"), ("generic-slurm", "run.slurm"),
     ("generic-cobalt", "run.cobalt")],
)  # fmt: skip
def test_render__from_an_empty_folder(venv: Path, home: Path, site: str, script: str) -> None:
    make_small(home)
    done = run(venv, home, "render", "small.yaml", "--site", site, "--set", "resources.account=A1")
    assert done.returncode == 0, done.stderr
    folder = home / "jobs" / "small"
    subprocess.run(["bash", "-n", script], cwd=folder, check=True)
    for name in ("rank.sh", "container.def", "config.yaml", "site.yaml", "code/build_horovod.sh"):
        assert (folder / name).stat().st_size > 100, name
    assert not (folder / "code" / "hpctrain" / "_data").exists()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["inputs"]["git_revision"] is None
    assert str(REPO) not in (folder / script).read_text()


def test_render__again_gives_the_same_bytes(venv: Path, home: Path) -> None:
    make_small(home)
    run(venv, home, "render", "small.yaml")
    first = (home / "jobs" / "small" / "manifest.json").read_bytes()
    subprocess.run(["rm", "-r", "jobs"], cwd=home, check=True)
    run(venv, home, "render", "small.yaml")
    assert (home / "jobs" / "small" / "manifest.json").read_bytes() == first
