"""`hpctrain doctor --job` of a job with an image: its ranks are inside."""

from __future__ import annotations

import json
import os
import platform
import sys
from pathlib import Path

import pytest
import yaml

from tests.e2e.commands import environment, hpctrain
from tests.requires import BIN, requires

pytestmark = requires(apptainer=True, mpi=True)

SITE = {
    "name": "bench",
    "title": "a bench",
    "scheduler": "local",
    "launcher": {"kind": "openmpi", "oversubscribe": True, "cpu_bind": "none"},
}


@pytest.fixture
def job(base_image: Path, tmp_path: Path) -> Path:
    """A job whose image shows this environment's Python, which must find its own glibc there."""
    if platform.libc_ver()[1] != "2.36":
        pytest.skip(f"this Python wants glibc {platform.libc_ver()[1]}, and the image has 2.36")
    interpreter = Path(os.path.realpath(sys.executable)).parents[1]
    binds = [str(path) for path in (BIN.parent, interpreter) if path != Path("/usr")]
    args = ["--userns"] if os.geteuid() == 0 else []  # root needs more rights than CI has
    site = {**SITE, "container": {"args": args}}
    (tmp_path / "bench.yaml").write_text(yaml.safe_dump(site))
    (tmp_path / "data").mkdir()
    page = {
        "name": "inside",
        "site": "bench.yaml",
        "resources": {"ranks_per_node": 2, "walltime": "00:10:00"},
        "launch": {"comm": "ddp", "python": sys.executable},
        "container": {"image": str(base_image), "binds": binds},
        "data": {"kind": "fields", "root": "data", "targets": ["*.nc"], "variables": ["t"]},
        "train": {"task": "super_resolution", "upscale_factor": 2, "epochs": 1},
    }
    page["data"]["crop"] = [4, 4, 4]
    page["train"]["global_batch_size"] = 2
    path = tmp_path / "inside.yaml"
    path.write_text(yaml.safe_dump(page))
    return path


def test_doctor__ranks_inside_the_image(job: Path, base_image: Path) -> None:
    words = ("doctor", "--job", job.name, "--json", "doctor.json")
    done = hpctrain(*words, cwd=job.parent, env=environment(), timeout=400)
    said = done.stdout + done.stderr
    ticket = json.loads((job.parent / "doctor.json").read_text())
    facts = ticket["facts"]
    assert facts["versions"]["container"] == str(base_image), said
    notes = facts["launch"]["ranks"]
    assert [note["stage"] for note in notes] == ["done", "done"], said
    images = {note["facts"]["container"]["image"] for note in notes}
    assert images == {str(base_image)}
    assert facts["allreduce"]["backend"] == "gloo"
    # the launcher is the host's
    assert facts["mpi"]["launchers"][0]["path"].startswith(str(BIN)), said
    assert not [p for p in job.parent.iterdir() if p.name.startswith(".doctor")]


def test_doctor__image_without_its_python(job: Path) -> None:
    page = yaml.safe_load(job.read_text())
    page["launch"]["python"] = "/nowhere/python"
    job.write_text(yaml.safe_dump(page))
    words = ("doctor", "--job", job.name, "--json", "doctor.json", "--limit", "30")
    done = hpctrain(*words, cwd=job.parent, env=environment(), timeout=400)
    assert done.returncode == 5, done.stdout + done.stderr
    ticket = json.loads((job.parent / "doctor.json").read_text())
    errors = [line["text"] for line in ticket["lines"] if line["severity"] == "error"]
    assert any("the job's Python ended with code" in text for text in errors), errors
    assert any("no rank began" in text for text in errors), errors
