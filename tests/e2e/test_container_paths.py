"""A real container: where it shows data, and what a message says of a file in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.runs import SmallRun, make_small

SHOWN = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc")


@pytest.fixture(autouse=True)
def own_cache_of_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch, once imported here, names a folder in the environment that the image cannot write."""
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty image that shows the host's programs and this Python."""
    folder = tmp_path_factory.mktemp("image") / "image"
    for name in (*SHOWN, "/proc", "/sys", "/dev", "/tmp", "/var/tmp", "/root"):
        (folder / name.lstrip("/")).mkdir(parents=True)
    apptainer = shutil.which("apptainer")
    words = [str(apptainer), "exec", "--userns", str(folder), "/bin/true"]
    words[3:3] = [word for path in SHOWN for word in ("--bind", path)]
    if apptainer is None or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("no apptainer that may start a container")
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, image: Path) -> SmallRun:
    """The small job in that image, its data behind a link."""
    run = make_small(tmp_path_factory.mktemp("small"))
    (run.folder / "data").rename(run.folder / "real")
    (run.folder / "data").symlink_to(run.folder / "real")
    site = yaml.safe_load((Path(__file__).parents[2] / "templates/sites/local.yaml").read_text())
    prefixes = {sys.prefix, sys.base_prefix, str(Path(__file__).parents[2])}
    binds = [*SHOWN, *(p for p in sorted(prefixes) if not p.startswith("/usr"))]
    args = ["--userns", "--no-mount", "tmp,home,cwd"]  # or all of /tmp would be shown, at its place
    site |= {
        "name": "boxed",
        "launcher": {"kind": "none"},
        "container": {"args": args, "binds": binds},
    }
    (run.folder / "boxed.yaml").write_text(yaml.safe_dump(site))
    return run


def settings(small: SmallRun, image: Path, *more: str) -> list[str]:
    return [
        f"site={small.folder}/boxed.yaml",
        f"container.image={image}",
        f"launch.python={sys.executable}",
        "launch.comm=single",
        "resources.ranks_per_node=1",
        "train.adversary=null",
        *more,
    ]


@pytest.mark.slow
def test_data_behind_a_link__are_found_copied_and_named_by_both_paths(
    small: SmallRun, image: Path, tmp_path: Path
) -> None:
    stage = ("data.stage=node_local", f"data.stage_dir={tmp_path}")
    run = small.render("boxed", *settings(small, image, *stage))
    out = small.finish(run)
    assert json.loads((run / "state.json").read_text())["staging"]["staged_nodes"] == 1, out
    path = small.folder / "real" / "step001.nc"
    os.truncate(path, 100)
    (run / "state.json").write_text('{\n "status": "rendered"\n}\n')
    shutil.rmtree(run / "checkpoints")
    text = small.finish(run, expected=2)
    shown = f"{small.folder}/data/step001.nc"
    assert f"{shown}: 100 bytes," in text
    assert f"[{shown} is the same on the host]" in text
