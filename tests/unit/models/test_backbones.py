"""Backbones by name, and weights from files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from hpctrain.config.backbone import (
    ResnetBackbone,
    TimmBackbone,
    TransformersBackbone,
    VitBackbone,
)
from hpctrain.errors import ConfigError
from hpctrain.models.backbones import configuration_of, make_backbone
from hpctrain.models.vit import VisionTransformer

VIT = VitBackbone(size="tiny", patch_size=8, depth=1)


def vit(channels: int = 3, size: tuple[int, int] = (32, 32)) -> nn.Module:
    torch.manual_seed(0)
    return make_backbone(VIT, channels, size)


def test_make_backbone__own_ones() -> None:
    with torch.device("meta"):
        small = make_backbone(VitBackbone(), 3, (224, 224))
        base = make_backbone(VitBackbone(size="base"), 3, (224, 224))
        resnet = make_backbone(ResnetBackbone(kind="resnet", depth=18), 1, (64, 64))
    assert (small.dim, base.dim, resnet.dim) == (384, 768, 512)
    # 21.7 M and 85.8 M parameters: Caron et al. 2021, table 1
    counts = [sum(p.numel() for p in n.parameters()) / 1e6 for n in (small, base)]
    assert [round(n, 1) for n in counts] == [21.7, 85.8]


def test_load__a_state_of_dino(tmp_path: Path) -> None:
    source = vit()
    wrapped = {f"module.backbone.{k}": v for k, v in source.state_dict().items()}
    head = {"module.head.mlp.0.weight": torch.zeros(3, 3)}
    path = tmp_path / "dino.pth"
    torch.save({"teacher": wrapped | head, "student": {}, "epoch": 3}, path)
    torch.manual_seed(1)
    network = make_backbone(VIT, 3, (32, 32), path)
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(network(x), source(x), rtol=0, atol=0)


def test_load__positions_of_another_grid(tmp_path: Path) -> None:
    source = vit(size=(32, 32))
    path = tmp_path / "weights.pt"
    torch.save(source.state_dict(), path)
    network = make_backbone(VIT, 3, (32, 48), path)
    x = torch.randn(2, 3, 32, 48)
    with torch.no_grad():
        torch.testing.assert_close(network(x), source(x), rtol=0, atol=1e-5)


def test_load__one_channel_sees_a_grey_picture_as_three_do(tmp_path: Path) -> None:
    source = vit(channels=3)
    path = tmp_path / "weights.pt"
    torch.save(source.state_dict(), path)
    network = make_backbone(VIT, 1, (32, 32), path)
    grey = torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(network(grey), source(grey.expand(-1, 3, -1, -1)))


def test_load__safetensors(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    source = vit()
    path = tmp_path / "weights.safetensors"
    safetensors.save_file(source.state_dict(), path)
    found = make_backbone(VIT, 3, (32, 32), path)
    assert isinstance(found, VisionTransformer)
    torch.testing.assert_close(found.pos_embed, source.pos_embed)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"no file of torch", "cannot be read"),
        ({"cls_token": torch.zeros(1, 1, 192)}, "lacks .* and .* more"),
        ("another depth", "has besides blocks.1"),
        ("another width", r"is \[1, 1, 384\] there and \[1, 1, 192\]"),
        ([1, 2], "holds no weights by name"),
    ],
)
def test_load__refuses(tmp_path: Path, content: Any, match: str) -> None:
    path = tmp_path / "weights.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "another depth":
        deep = VitBackbone(size="tiny", patch_size=8, depth=2)
        torch.save(make_backbone(deep, 3, (32, 32)).state_dict(), path)
    elif content == "another width":
        wide = VitBackbone(size="small", patch_size=8, depth=1)
        torch.save(make_backbone(wide, 3, (32, 32)).state_dict(), path)
    else:
        torch.save(content, path)
    with pytest.raises(ConfigError, match=match):
        make_backbone(VIT, 3, (32, 32), path)


def test_load__no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        make_backbone(VIT, 3, (32, 32), tmp_path / "none.pt")


SMALL_VIT = {
    "hidden_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "patch_size": 16,
}


def test_transformers__any_size_and_a_local_folder(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    block = TransformersBackbone(kind="transformers", model="ViTModel", options=SMALL_VIT)
    network = make_backbone(block, 1, (32, 48)).eval()
    assert network.dim == 24
    x = torch.randn(2, 1, 64, 48)
    network.model.save_pretrained(tmp_path / "saved")
    again = make_backbone(block, 1, (32, 48), tmp_path / "saved").eval()
    with torch.no_grad():
        assert network(x).shape == (2, 24)
        torch.testing.assert_close(again(x), network(x))


def test_transformers__is_made_again_without_its_folder(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    small = TransformersBackbone(kind="transformers", model="ViTModel", options=SMALL_VIT)
    make_backbone(small, 1, (32, 48)).half().model.save_pretrained(tmp_path / "saved")  # type: ignore[union-attr, operator]
    block = TransformersBackbone(kind="transformers", model="ViTModel", weights="saved")
    first = make_backbone(block, 1, (32, 48), tmp_path / "saved").eval()
    page = configuration_of(block, tmp_path / "saved")
    assert page is not None
    assert first.configuration["hidden_size"] == page["hidden_size"] == 24
    x = torch.randn(2, 1, 64, 48)
    for own in (page, json.loads(json.dumps(first.configuration))):
        again = make_backbone(block, 1, (32, 48), configuration=own).eval()
        again.load_state_dict(first.state_dict())
        assert next(again.parameters()).dtype == next(first.parameters()).dtype == torch.float32
        with torch.no_grad():
            torch.testing.assert_close(again(x), first(x), rtol=0, atol=0)
    assert configuration_of(VIT, tmp_path) is None
    with pytest.raises(ConfigError, match=r"none: ViTModel of transformers refuses its config"):
        configuration_of(block, tmp_path / "none")


def test_transformers__options_beside_weights_are_refused() -> None:
    with pytest.raises(
        ValidationError, match=r"options \(hidden_size\) have no effect beside weights"
    ):
        TransformersBackbone(
            kind="transformers", model="ViTModel", weights="saved", options={"hidden_size": 24}
        )


def test_transformers__maps_are_pooled() -> None:
    pytest.importorskip("transformers")
    options = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]}
    block = TransformersBackbone(
        kind="transformers", model="ResNetModel", options={**options, "layer_type": "basic"}
    )
    network = make_backbone(block, 2, (32, 32)).eval()
    assert network.dim == 16
    assert network(torch.randn(2, 2, 64, 32)).shape == (2, 16)


@pytest.mark.parametrize(
    ("model", "options", "match"),
    [
        ("ViTModle", {}, "has no model 'ViTModle'"),
        ("ViTModel", {"hiden_size": 24}, "has no 'hiden_size'. Did you mean 'hidden_size'"),
        ("ViTModel", {**SMALL_VIT, "hidden_size": "wide"}, "refuses"),
    ],
)
def test_transformers__refuses(model: str, options: dict[str, Any], match: str) -> None:
    pytest.importorskip("transformers")
    block = TransformersBackbone(kind="transformers", model=model, options=options)
    with pytest.raises(ConfigError, match=match):
        make_backbone(block, 1, (32, 32))


def test_transformers__channels_of_saved_weights(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    block = TransformersBackbone(kind="transformers", model="ViTModel", options=SMALL_VIT)
    make_backbone(block, 3, (32, 32)).model.save_pretrained(tmp_path / "saved")  # type: ignore[union-attr, operator]
    with pytest.raises(ConfigError, match="takes 3 channels, and the pictures have 1"):
        make_backbone(block, 1, (32, 32), tmp_path / "saved")


def test_timm__is_called_as_it_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timm itself needs torchvision, which has no build for every torch; this has its interface."""

    class Features(nn.Module):
        num_features = 5

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean((2, 3)).repeat(1, 5)

    asked: dict[str, Any] = {}

    def create_model(name: str, **options: Any) -> nn.Module:
        asked.update(options, name=name)
        if name != "known":
            raise RuntimeError(f"Unknown model ({name})")
        return Features()

    timm = ModuleType("timm")
    timm.create_model = create_model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "timm", timm)
    block = TimmBackbone(kind="timm", model="known", options={"drop_rate": 0.1})
    network = make_backbone(block, 1, (32, 32))
    assert network.dim == 5
    assert network(torch.randn(2, 1, 8, 8)).shape == (2, 5)
    assert asked == {
        "name": "known",
        "pretrained": False,
        "drop_rate": 0.1,
        "in_chans": 1,
        "num_classes": 0,
    }
    with pytest.raises(ConfigError, match="timm refuses 'other'"):
        make_backbone(TimmBackbone(kind="timm", model="other"), 1, (32, 32))


def test_timm__missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match="pip install timm"):
        make_backbone(TimmBackbone(kind="timm", model="any"), 1, (32, 32))
