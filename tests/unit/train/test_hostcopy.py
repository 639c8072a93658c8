from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from hpctrain.train.hostcopy import HostCopy


def state() -> dict[str, object]:
    model = nn.Sequential(nn.Conv3d(2, 4, 3), nn.BatchNorm3d(4))
    model.to(memory_format=torch.channels_last_3d)
    return {
        "models": {"m": model.state_dict()},
        "optimizers": {
            "m": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 1}]}
        },
        "random": [{"python": (3, [1, 2], None), "torch": torch.get_rng_state()}],
        "task": {},
    }


def tensors(value: object) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        return [t for inner in value.values() for t in tensors(inner)]
    if isinstance(value, (list, tuple)):
        return [t for inner in value for t in tensors(inner)]
    return []


def test_take__equal_in_other_memory() -> None:
    content = state()
    copied = HostCopy().take(content)
    for own, other in zip(tensors(content), tensors(copied), strict=True):
        assert torch.equal(own, other)
        assert own.data_ptr() != other.data_ptr()
        assert own.stride() == other.stride()
    assert copied["random"][0]["python"] == (3, [1, 2], None)
    assert copied["optimizers"]["m"]["param_groups"] == [{"lr": 1}]
    model = copied["models"]["m"]
    assert isinstance(model, OrderedDict)
    assert model._metadata == content["models"]["m"]._metadata  # type: ignore[index]


def test_take__uses_its_memory_again() -> None:
    host = HostCopy()
    content = state()
    host.prepare({"models": content["models"]})
    prepared = {t.data_ptr() for t in host._buffers.values()}
    first = [t.data_ptr() for t in tensors(host.take(content))]
    assert prepared <= set(first)
    content["models"]["m"]["0.weight"] += 1  # type: ignore[index]
    again = host.take(content)
    assert [t.data_ptr() for t in tensors(again)] == first
    assert torch.equal(again["models"]["m"]["0.weight"], content["models"]["m"]["0.weight"])  # type: ignore[index]


def test_take__another_shape_gets_new_memory() -> None:
    host = HostCopy()
    host.take({"a": torch.zeros(3)})
    assert torch.equal(host.take({"a": torch.ones(4)})["a"], torch.ones(4))
