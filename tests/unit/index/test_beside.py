"""Which files beside an index decide a training."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from hpctrain.errors import DataError
from hpctrain.index.beside import BEGINNINGS, named_files, record, take_digests, verify_beside


def page(**train: Any) -> dict[str, Any]:
    return {"data": {"kind": "pairs"}, "train": {"task": "vicreg", **train}}


def test_named_files__weights_of_backbones() -> None:
    own = {"kind": "vit", "weights": "vit.pt"}
    saved = {"kind": "transformers", "model": "ViTModel", "weights": "saved"}
    found = named_files(page(backbone=own, ir_backbone=saved))
    assert found == {
        "train.backbone.weights": "vit.pt",
        "train.ir_backbone.weights": "saved/model.safetensors",
    }
    assert named_files(page(backbone={"kind": "vit", "weights": None}, ir_backbone=None)) == {}


def test_take_digests__a_folder_without_weights_is_named(tmp_path: Path) -> None:
    job = page(backbone={"kind": "transformers", "model": "ViTModel", "weights": "saved"})
    (tmp_path / "saved").mkdir()
    with pytest.raises(DataError, match=r"train\.backbone\.weights: .*model\.safetensors: cannot"):
        take_digests(job, tmp_path)
    (tmp_path / "saved" / "model.safetensors").write_bytes(b"weights")
    found = take_digests(job, tmp_path)["train.backbone.weights"]
    assert (found.path, found.size) == ("saved/model.safetensors", 7)


def test_verify__needs_no_weights_of_a_run_that_goes_on(tmp_path: Path) -> None:
    job = page(backbone={"kind": "transformers", "model": "ViTModel", "weights": "saved"})
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "model.safetensors").write_bytes(b"weights")
    manifest = {"inputs": record(take_digests(job, tmp_path))}
    verify_beside(job, manifest, tmp_path)
    shutil.rmtree(tmp_path / "saved")
    with pytest.raises(DataError, match=r"model\.safetensors"):
        verify_beside(job, manifest, tmp_path)
    verify_beside(job, manifest, tmp_path, but=BEGINNINGS)
