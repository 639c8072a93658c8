"""Variables that mislead ranks, and what is kept secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpctrain.doctor.environment import environment_topic
from hpctrain.doctor.secret import Masker


def said(**env: str) -> dict[str, tuple[str, str]]:
    lines = environment_topic(env, Masker(env), is_in_job=False).lines
    return {line.name: (line.severity, line.text) for line in lines}


def test_environment__nothing_in_it() -> None:
    assert said() == {"environment": ("ok", "nothing in it that would mislead ranks")}


@pytest.mark.parametrize(
    ("env", "name", "severity"),
    [
        ({"PMI_RANK": "0"}, "PMI_RANK", "error"),
        ({"WORLD_SIZE": "4", "RANK": "0"}, "WORLD_SIZE ...", "warning"),
        ({"HPCTRAIN_RANK": "1"}, "HPCTRAIN_RANK", "warning"),
        ({"HPCTRAIN_LAUNCHER": "none"}, "HPCTRAIN_LAUNCHER", "warning"),
        ({"HOROVOD_CONTROLLER": "gloo"}, "HOROVOD_CONTROLLER", "warning"),
        ({"LD_PRELOAD": "/opt/x.so"}, "LD_PRELOAD", "warning"),
        ({"PYTHONHOME": "/opt"}, "PYTHONHOME", "warning"),
        ({"PYTHONPATH": "/opt/mine"}, "PYTHONPATH", "note"),
        ({"LOADEDMODULES": "gcc/12:openmpi/5.0:cray-mpich/8.1"}, "modules", "warning"),
        ({"LOADEDMODULES": "gcc/12:openmpi/5.0"}, "modules", "ok"),
        ({"NCCL_DEBUG": "INFO"}, "variables", "note"),
    ],
)
def test_environment__what_hurts(env: dict[str, str], name: str, severity: str) -> None:
    found = said(**env)
    assert found[name][0] == severity
    assert ("environment" in found) == (severity not in ("error", "warning"))


def test_environment__rank_of_torchrun_made_up_by_hand() -> None:
    env = {"MASTER_ADDR": "a", "MASTER_PORT": "1", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
    assert said(**env)["MASTER_ADDR ..."][0] == "warning"
    assert "MASTER_ADDR ..." not in said(MASTER_ADDR="a", MASTER_PORT="1")


def test_environment__several_mpi_in_the_library_path(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    (tmp_path / "a/libmpi.so.40").touch()
    one = f"{tmp_path}/a:{tmp_path}/c"
    assert "LD_LIBRARY_PATH" not in said(LD_LIBRARY_PATH=one)
    (tmp_path / "b/libmpi.so.12").touch()
    assert said(LD_LIBRARY_PATH=f"{one}:{tmp_path}/b")["LD_LIBRARY_PATH"][0] == "warning"


def test_environment__secret_values_are_nowhere() -> None:
    env = {"WANDB_API_KEY": "abcdef123456", "NCCL_NET": "abcdef123456", "HF_TOKEN": "x"}
    topic = environment_topic(env, Masker(env), is_in_job=False)
    assert "abcdef123456" not in str(topic)
    assert topic.facts["secret"] == ["HF_TOKEN", "WANDB_API_KEY"]
