"""Who may build, and what is said to those who may not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hpctrain.container import engine
from hpctrain.container.engine import Engine, find_engine, root_problems, user_problems
from hpctrain.errors import ImageError

APPTAINER = Engine("apptainer", has_squashfs_options=True)


def test_root__with_all_rights_builds() -> None:
    assert list(root_problems("CapPrm:\t000001ffffffffff\n", 40)) == []


def test_root__with_rights_withheld_is_told_so() -> None:
    (said,) = root_problems("CapPrm:\t000001fffeffffff\n", 40)
    assert "capability 24 is withheld" in said
    assert "build as an ordinary user" in said


def test_user__without_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_is_setuid", lambda: False)
    said = next(user_problems(APPTAINER, can_map=False, has_range=True))
    assert "lets no user make namespaces" in said
    assert "copy the image" in said


def test_user__without_a_range_or_fakeroot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.shutil, "which", lambda _: None)
    (said,) = user_problems(APPTAINER, can_map=True, has_range=False)
    assert "no range in /etc/subuid" in said
    assert "usermod --add-subuids" in said
    assert list(user_problems(APPTAINER, can_map=True, has_range=True)) == []


def test_find_engine__none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ImageError, match="no apptainer and no singularity in PATH; load its mod"):
        find_engine()
    with pytest.raises(ImageError, match="no singularity in PATH"):
        find_engine("singularity")


def test_build__layers_are_packed_fast_and_images_for_any_kernel() -> None:
    layer = APPTAINER.build(Path("a.sif"), Path("a.def"), ["/x:/y"], is_last=False)
    assert "-comp zstd -Xcompression-level 1" in layer
    assert layer[layer.index("--bind") + 1] == "/x:/y"
    assert "-comp gzip -Xcompression-level 1" in APPTAINER.build(
        Path("a.sif"), Path("a.def"), [], is_last=True
    )
    old = Engine("singularity", has_squashfs_options=False)
    words = old.build(Path("a.sif"), Path("a.def"), [], is_last=True)
    assert "--mksquashfs-args" not in words
    assert ("--fakeroot" in words) == (os.geteuid() != 0)
