"""Presets of the adversary: what they set, what wins over them, and where `show` says they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from hpctrain.cli.show import lines
from hpctrain.config.load import Resolved, read_job, read_resolved, resolve
from hpctrain.config.task import Adversary, GradientPenalty, SuperResolution
from hpctrain.errors import ConfigError
from hpctrain.render.yaml_text import yaml_text
from hpctrain.sweep.points import resolve_points
from tests.jobs import REPO

FAST = GradientPenalty(kind="r1", weight=10.0, every=16)


def fast(tmp_path: Path, *settings: str) -> Resolved:
    (tmp_path / "fast.yaml").write_text(
        "version: 1\nname: fast\n"
        'resources: {nodes: 1, ranks_per_node: 1, walltime: "00:10:00"}\n'
        'data: {kind: fields, root: d, targets: ["a*.npy"], crop: [8, 8, 8], geometry: box}\n'
        "train:\n  task: super_resolution\n  upscale_factor: 2\n  epochs: 1\n"
        "  global_batch_size: 1\n  adversary: {preset: fast}\n"
    )
    return resolve(read_job(Path("fast.yaml"), settings, tmp_path), "local")


def adversary(resolved: Resolved) -> Adversary:
    assert isinstance(resolved.job.train, SuperResolution)
    assert resolved.job.train.adversary is not None
    return resolved.job.train.adversary


def test_preset__fast_sets_what_is_not_given(tmp_path: Path) -> None:
    resolved = fast(tmp_path)
    found = adversary(resolved)
    assert (found.critic_steps, found.gradient_penalty) == (1, FAST)
    assert found.model_dump(exclude={"preset"}) == Adversary(
        critic_steps=1, gradient_penalty=FAST
    ).model_dump(exclude={"preset"})
    (tmp_path / "config.yaml").write_text(yaml_text(resolved.job))
    assert read_resolved(tmp_path / "config.yaml") == resolved.job


@pytest.mark.parametrize(
    ("setting", "steps", "penalty"),
    [
        ("critic_steps=1", 1, FAST),
        ("gradient_penalty.weight=2", 1, FAST.model_copy(update={"weight": 2.0})),
        ("gradient_penalty={every: 8}", 1, FAST.model_copy(update={"every": 8})),
        ("preset=null", 5, GradientPenalty()),
    ],
)
def test_preset__may_be_tuned(
    tmp_path: Path, setting: str, steps: int, penalty: GradientPenalty
) -> None:
    found = adversary(fast(tmp_path, f"train.adversary.{setting}"))
    assert (found.critic_steps, found.gradient_penalty) == (steps, penalty)


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("critic_steps=3", "critic_steps: found 3, but preset: fast means critic_steps 1; leave"),
        ("gradient_penalty.kind=wgan_gp", "found 'wgan_gp', but .* means gradient_penalty.kind r1"),
        ("gradient_penalty=null", "gradient_penalty: found null, but preset: fast means"),
        ("gradient_penalty.kind=r2", "r2"),
    ],
)
def test_preset__what_would_make_a_mixture_is_refused(
    tmp_path: Path, setting: str, text: str
) -> None:
    with pytest.raises(ConfigError, match=text) as refused:
        fast(tmp_path, f"train.adversary.{setting}")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("job", ["mantle", "mantle-scivis"])
def test_preset__given_by_set_wins_over_the_file(job: str) -> None:
    settings = ["train.adversary.gradient_penalty.weight=2", "train.adversary.preset=fast"]
    resolved = resolve(read_job(Path(f"jobs/{job}.yaml"), settings, REPO), "local")
    found = adversary(resolved)
    tuned = FAST.model_copy(update={"weight": 2.0})
    assert (found.critic_steps, found.gradient_penalty) == (1, tuned)
    block = ("train", "adversary")
    assert resolved.layers.source((*block, "critic_steps")) == "preset fast"
    assert resolved.layers.source((*block, "gradient_penalty", "weight")).startswith("--set")


def test_preset__in_a_file_beside_what_it_contradicts(tmp_path: Path) -> None:
    text = (REPO / "jobs" / "mantle.yaml").read_text()
    text = text.replace("    loss: wasserstein\n", "    preset: fast\n")
    (tmp_path / "mixed.yaml").write_text(text)
    with pytest.raises(ConfigError) as refused:
        resolve(read_job(Path("mixed.yaml"), (), tmp_path), "local")
    steps, kind = str(refused.value).splitlines()
    assert steps.startswith("mixed.yaml:59: train.adversary.critic_steps: found 5, but preset:")
    assert kind.startswith("mixed.yaml:63: train.adversary.gradient_penalty.kind: found 'wgan_gp'")


def test_preset__show_names_it(tmp_path: Path) -> None:
    resolved = fast(tmp_path, "train.adversary.gradient_penalty.weight=2")
    shown = [line.split() for line in lines(resolved.job.model_dump(mode="json"), resolved.layers)]
    assert ["critic_steps:", "1", "#", "preset", "fast"] in shown
    assert ["kind:", "r1", "#", "preset", "fast"] in shown
    assert ["preset:", "fast", "#", "fast.yaml:10"] in shown
    weight = next(line for line in shown if line[:2] == ["weight:", "2.0"])
    assert weight[3] == "--set"


def test_preset__unknown_name() -> None:
    with pytest.raises(ValidationError, match="preset"):
        Adversary(preset="quick")  # type: ignore[arg-type]


def test_preset__in_a_sweep_each_point_has_its_own(tmp_path: Path) -> None:
    resolved = fast(tmp_path, "sweep={grid: {train.adversary.preset: [null, fast]}}")
    steps = [point.job.train.adversary.critic_steps for point in resolve_points(resolved)]
    assert steps == [5, 1]
