"""Options of the user's classes, compared without importing anything."""

from __future__ import annotations

import pytest
from yaml import safe_load

from hpctrain.config.networks import OwnCritic, OwnNetwork
from hpctrain.config.norms import Normalization
from hpctrain.config.task import Adversary
from hpctrain.preflight.own_code import own_code_findings
from tests.jobs import mantle

CODE = """
import torch_is_never_imported_here
from torch import nn
from elsewhere import Other


class Net(nn.Module):
    def __init__(self, inputs, outputs, upscale_factor, width=4, *, depth=2):
        ...


class Narrow(nn.Module):
    def __init__(self, inputs, outputs, width):
        ...


class Critic(nn.Module):
    def __init__(self, channels, /):
        ...


class Child(Net):
    pass


class Root:
    def __init__(self, power):
        ...
"""


@pytest.fixture
def found(tmp_path):
    """What is found in a job of the mantle, with a change of its blocks."""
    (tmp_path / "mine" / "deep").mkdir(parents=True)
    (tmp_path / "mine" / "own.py").write_text(CODE)
    (tmp_path / "mine" / "deep" / "__init__.py").write_text(CODE)
    (tmp_path / "mine" / "torn.py").write_text("class Net(")
    job = mantle("local", "code=[mine]").job

    def look(block, **fields):
        inner = getattr(job, block).model_copy(update=fields)
        changed = job.model_copy(update={block: inner})
        return [f"{f.where}: {f.text}" for f in own_code_findings(changed, tmp_path)]

    return look


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("own.Net", "{width: 3, depth: 1}", None),
        ("deep.Net", "{width: 3}", None),
        ("own.Child", "{anything: 3}", None),
        ("own.Other", "{anything: 3}", None),
        ("package.Net", "{}", None),
        ("own.Net", "{widht: 3}", "takes no 'widht'; it takes upscale_factor, width, depth; did"),
        ("own.Net", "{inputs: 3}", "takes no 'inputs'"),
        ("own.Narrow", "{}", "train.generator.options: Narrow needs width; add it"),
        ("own.Nett", "{}", "own.py has no class 'Nett'; did you mean 'Net'?"),
        ("torn.Net", "{}", "torn.py: cannot be read"),
    ],
)
def test_generator(found, kind, options, expected):
    texts = found("train", generator=OwnNetwork(kind=kind, options=safe_load(options)))
    if expected is None:
        assert not texts
    else:
        assert len(texts) == 1
        assert expected in texts[0]


def test_critic(found):
    critic = OwnCritic(kind="own.Critic", options={"width": 3})
    adversary = Adversary(discriminator=critic)
    (text,) = found("train", adversary=adversary)
    assert text == (
        "train.adversary.discriminator.options: Critic takes no 'width'; it takes no options"
    )


def test_norms(found):
    wrong = Normalization(kind="own.Root", options={"pover": 2})
    assert [t.split(";")[0] for t in found("data", target_norms=[wrong])] == [
        "data.target_norms.0.options: Root takes no 'pover'",
        "data.target_norms.0.options: Root needs power",
    ]
    right = Normalization(kind="own.Root", options={"power": 2})
    assert not found("data", target_norms=[right, Normalization(kind="log1p")])
