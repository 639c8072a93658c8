from __future__ import annotations

import json
from pathlib import Path

from hpctrain.provenance import run_id, stamp_run
from hpctrain.provenance.host import container_facts, host_facts, image_id
from hpctrain.render.inputs import CodeTree, digest

MANIFEST = {
    "version": "0.1.0",
    "inputs": {"git_revision": "abc", "dirty": True},
    "files": {"config.yaml": "00"},
    "launches": [
        {"launch_id": "one", "hosts": ["a"], "time": 1.0},
        {"launch_id": "two", "container": {"image": "/x.sif", "sha256": "ff"}},
    ],
}


def test_stamp_run__says_what_is_there_now(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps(MANIFEST))
    (tmp_path / "config.yaml").write_text("a: 1\n")
    stamp = stamp_run(tmp_path, "figure", epoch=3)
    assert stamp.config_digest == digest(b"a: 1\n")
    assert (stamp.launch_id, stamp.epoch, stamp.product) == ("two", 3, "figure")
    assert (stamp.git_revision, stamp.is_dirty) == ("abc", True)
    assert (stamp.container_image, stamp.container_digest) == ("/x.sif", "ff")
    assert (stamp.index_digest, stamp.code_digest) == ("", "")


def test_stamp_run__of_an_empty_folder_is_empty(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("[]")
    stamp = stamp_run(tmp_path, "report")
    assert (stamp.run_id, stamp.config_digest, stamp.git_revision) == ("", "", None)


def test_code_digest__is_that_of_rendering(tmp_path: Path) -> None:
    files = {"hpctrain/a.py": b"1", "hpctrain/b/c.py": b"2", "user/d.py": b"3"}
    for name, content in {**files, "SOURCE.json": b"{}", "hpctrain/__pycache__/a.pyc": b""}.items():
        (tmp_path / "code" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "code" / name).write_bytes(content)
    assert stamp_run(tmp_path, "report").code_digest == CodeTree(files).digest
    (tmp_path / "code" / "user" / "d.py").write_bytes(b"4")
    assert stamp_run(tmp_path, "report").code_digest != CodeTree(files).digest


def test_run_id__is_of_the_first_start_alone() -> None:
    first = run_id(MANIFEST)
    later = {**MANIFEST, "launches": [{**MANIFEST["launches"][0], "exit_code": 0}, {"x": 1}]}
    assert run_id(later) == first
    assert len(first) == 32
    other = {**MANIFEST, "launches": [{**MANIFEST["launches"][0], "time": 2.0}]}
    assert run_id(other) != first
    assert run_id({**MANIFEST, "launches": []}) == ""


def test_container_facts__of_a_sif_image(tmp_path: Path, monkeypatch) -> None:
    image = tmp_path / "x.sif"
    name = bytes(range(16))
    image.write_bytes(
        b"#!/usr/bin/env run-singularity\n\0" + b"SIF_MAGIC\0" + b"01\0002\0\0" + name
    )
    assert image_id(image) == "00010203-0405-0607-0809-0a0b0c0d0e0f"
    monkeypatch.setenv("APPTAINER_CONTAINER", str(image))
    facts = container_facts()
    assert facts.pop("mtime_ns") == image.stat().st_mtime_ns
    assert facts == {"image": str(image), "id": image_id(image), "size": 64}
    monkeypatch.setenv("LOADEDMODULES", "cray-mpich/8.1:cuda/12")
    assert host_facts()["modules"] == ["cray-mpich/8.1", "cuda/12"]


def test_container_facts__outside_of_a_container(monkeypatch) -> None:
    monkeypatch.delenv("APPTAINER_CONTAINER", raising=False)
    monkeypatch.delenv("SINGULARITY_CONTAINER", raising=False)
    assert container_facts() == {}
    assert "container" not in host_facts()
