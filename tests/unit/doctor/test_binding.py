"""Which GPU each rank sees."""

from __future__ import annotations

from hpctrain.config.load import read_site
from hpctrain.doctor.binding import bind_gpus
from hpctrain.doctor.plan import own_job
from hpctrain.doctor.topic import Topic
from tests.unit.doctor.notes import gpu, note

SITE, _ = read_site("local")


def said(*notes, gpus: int = 1) -> list[str]:
    ask = own_job("local").resources.model_copy(update={"gpus_per_rank": gpus})
    topic = Topic("gpus")
    bind_gpus(topic, notes, SITE, ask)
    return [f"{line.severity} {line.name}: {line.text}" for line in topic.lines]


def test_bind_gpus__each_its_own() -> None:
    assert said(note(0), note(1)) == [
        "ok binding: rank 0 on nid01, mask 0: A100 GPU-0",
        "ok binding: rank 1 on nid01, mask 1: A100 GPU-1",
    ]


def test_bind_gpus__one_device_under_two_masks() -> None:
    shared = {"built_for": "cuda 12.8", "gpus": [gpu(0)]}
    lines = said(note(0, devices=shared), note(1, devices=shared))
    assert lines == ["error binding: ranks 0 and 1 on nid01 share the device GPU-0"]


def test_bind_gpus__same_number_on_two_hosts_is_well() -> None:
    lines = said(note(0, "nid01"), note(0, "nid02"))
    assert all(line.startswith("ok") for line in lines)


def test_bind_gpus__one_mask_and_no_device() -> None:
    none = {"built_for": "cpu", "gpus": []}
    env = {"HPCTRAIN_RANK": "0", "CUDA_VISIBLE_DEVICES": "0"}
    lines = said(*(note(rank, devices=none, environment=env) for rank in (0, 1)))
    assert lines[0] == "error binding: ranks 0 and 1 on nid01 both have CUDA_VISIBLE_DEVICES=0"
    assert lines[1].startswith("error visible: rank 0 on nid01, rank 1 on nid01 sees no GPU")


def test_bind_gpus__none_asked_for() -> None:
    assert said(note(0), note(1), gpus=0) == ["ok binding: the ranks were started without GPUs"]


def early(rank: int, stage: str) -> dict:
    """A rank that did not come to its devices."""
    page = note(rank, stage=stage)
    del page["devices"]
    return page


def test_bind_gpus__rank_that_never_saw_its_devices() -> None:
    assert said(note(0), early(1, "looking at the devices"), note(2)) == [
        "ok binding: rank 0 on nid01, mask 0: A100 GPU-0",
        "ok binding: rank 2 on nid01, mask 2: A100 GPU-2",
        "warning binding: rank 1 on nid01 stood at `looking at the devices`, so its GPUs are not "
        "known",
    ]


def test_bind_gpus__no_rank_saw_its_devices() -> None:
    (line,) = said(*(early(rank, "looking at the devices") for rank in range(6)))
    assert line.startswith("warning binding: rank 0 on nid01 stood at")
    assert line.endswith("not known, nor those of 5 ranks more")


def test_bind_gpus__early_rank_beside_one_that_is_blind() -> None:
    none = {"built_for": "cpu", "gpus": []}
    lines = said(note(0, devices=none), early(1, "looking at the devices"))
    assert lines[0].startswith("error visible: rank 0 on nid01 sees no GPU")
    assert lines[1].startswith("warning binding: rank 1 on nid01 stood at")
