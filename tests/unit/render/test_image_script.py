"""image.sh: the copy of an image on a node, and the engine that starts it."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from hpctrain.errors import RenderError
from hpctrain.render import render
from hpctrain.render.shell import fill
from tests.jobs import BATCH, inputs, mantle
from tests.requires import find_shellcheck, requires

DIGEST = hashlib.sha256(b"an image").hexdigest()


@pytest.fixture
def node(tmp_path):
    """A node with a disk, and an image elsewhere."""
    (tmp_path / "image.sh").write_text(fill("schedulers/image.sh.j2", {}))
    (tmp_path / "my image.sif").write_bytes(b"an image")
    (tmp_path / "disk").mkdir()
    return tmp_path


def start(node: Path, *words: str, **env: str) -> subprocess.CompletedProcess:
    variables = {"PATH": os.defpath, "HPCTRAIN_LAUNCH_ID": "7", "DISK": f"{node}/disk", **env}
    script = ["sh", str(node / "image.sh"), *words]
    return subprocess.run(script, env=variables, capture_output=True, text=True, check=False)


def copies(node: Path) -> list[str]:
    return sorted(str(p.relative_to(node / "disk")) for p in (node / "disk").rglob("*"))


PLACE = f"hpctrain-image-{os.getuid()}-7"


def test_image_script__copies_once_runs_the_copy_and_removes_it(node):
    image, folder = str(node / "my image.sif"), "$DISK"
    assert start(node, "copy", image, folder, DIGEST, HPCTRAIN_LOCAL_RANK="1").returncode == 0
    assert copies(node) == []
    done = start(node, "copy", image, folder, DIGEST, HPCTRAIN_LOCAL_RANK="0")
    assert (done.returncode, done.stderr) == (0, "")
    assert copies(node) == [PLACE, f"{PLACE}/my image.sif"]
    assert (node / "disk" / PLACE).stat().st_mode & 0o077 == 0
    words = ["run", image, folder, "printf", "%s\n", "-x", image, f"{image}2", "a b"]
    ran = start(node, *words).stdout.splitlines()
    assert ran == ["-x", f"{node}/disk/{PLACE}/my image.sif", f"{image}2", "a b"]
    assert start(node, "remove", image, folder, HPCTRAIN_LOCAL_RANK="1").returncode == 0
    assert copies(node) != []
    assert start(node, "remove", image, folder).returncode == 0
    assert copies(node) == []


@pytest.mark.parametrize(
    ("folder", "digest", "words"),
    [
        ("$DISK", "0" * 64, "is not like"),
        ("$NOWHERE/x", DIGEST, "/x"),  # mkdir's own words
        ("$NOWHERE", DIGEST, "is no absolute path"),
        ("/$(touch here)", DIGEST, "cannot be a folder"),
    ],
)
def test_image_script__without_a_whole_copy_the_image_is_read_in_place(node, folder, digest, words):
    image = str(node / "my image.sif")
    done = start(node, "copy", image, folder, digest)
    assert "in its own place" in done.stderr
    assert words in done.stderr
    assert copies(node) == []
    assert not (node / "here").exists()
    assert start(node, "run", image, folder, "echo", image).stdout == f"{image}\n"


def test_image_script__a_full_disk_is_said(node):
    image = str(node / "my image.sif")
    done = start(node, "copy", f"{image}.gone", "$DISK", DIGEST)
    assert f"{image}.gone cannot be copied to {node}/disk" in done.stderr
    assert copies(node) == []


def test_image_script__takes_away_what_is_old(node):
    for name in (f"hpctrain-image-{os.getuid()}-old", "other-old"):
        (node / "disk" / name).mkdir()
        os.utime(node / "disk" / name, (0, 0))
    start(node, "copy", str(node / "my image.sif"), "$DISK", DIGEST)
    assert copies(node) == [PLACE, f"{PLACE}/my image.sif", "other-old"]


@requires(shellcheck=True)
def test_image_script__passes_shellcheck(node):
    done = subprocess.run([find_shellcheck(), node / "image.sh"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def site_file(tmp_path, container: str, more: str = "") -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(
        f"name: mine\ntitle: x\nscheduler: slurm\nlauncher: {{kind: srun}}\n{more}\n"
        f"container: {container}\n"
    )
    return str(path)


@pytest.mark.parametrize(
    ("container", "more", "settings", "is_there"),
    [
        ("{}", "", (), False),
        ("{copy_to_node: true}", "scratch: /x", (), True),
        ("{copy_to_node: true}", "scratch: /x", ("container.copy_to_node=false",), False),
        ("{}", "scratch: /x", ("container.copy_to_node=true",), True),
        ("{engine: charliecloud}", "", (), True),
    ],
)
def test_render__image_script_where_it_is_needed(tmp_path, container, more, settings, is_there):
    site = site_file(tmp_path, container, more)
    found = mantle(site, *BATCH, "container.image=/i.sif", *settings)
    files = render(found.job, found.site, inputs())
    assert ("image.sh" in files) == is_there
    script = files["run.slurm"].content.decode()
    assert ("sha256sum" in script) == is_there or "charliecloud" in container


@pytest.mark.parametrize(
    ("image", "more", "words"),
    [("/i.sif", "", "names no disk"), ("docker://a:1", "scratch: /x", "only image files")],
)
def test_render__copy_that_cannot_be(tmp_path, image, more, words):
    site = site_file(tmp_path, "{copy_to_node: true}", more)
    found = mantle(site, *BATCH, f"container.image='{image}'")
    with pytest.raises(RenderError, match=words):
        render(found.job, found.site, inputs())
