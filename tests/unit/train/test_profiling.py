from __future__ import annotations

import pytest

from hpctrain.errors import ConfigError
from hpctrain.train.profiling import _steps_asked_for, table


def test_variable__is_a_number_of_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HPCTRAIN_PROFILE", raising=False)
    assert _steps_asked_for() == 0
    monkeypatch.setenv("HPCTRAIN_PROFILE", "20")
    assert _steps_asked_for() == 20
    monkeypatch.setenv("HPCTRAIN_PROFILE", "yes")
    with pytest.raises(ConfigError, match="HPCTRAIN_PROFILE: found 'yes'; allowed: a number"):
        _steps_asked_for()


def test_table__reads_as_plain_text() -> None:
    facts = {
        "step_s": 0.0123,
        "shares": {"data": 0.25, "forward_backward": 0.75},
        "device": "cpu",
        "ranks": 2,
        "batch_size_per_rank": 1,
        "memory_peak_bytes": 2**30,
        "operators": [{"name": "aten::conv3d", "share": 0.5, "calls": 12}],
        "advice": "sit down and wait",
    }
    lines = table(facts).splitlines()
    assert (
        lines[0] == "12.3 ms a step on cpu, 2 ranks x 1 sample; memory of rank 0: 1024 MiB at most"
    )
    assert "  data                    25.0%" in lines
    assert "  forward and backward    75.0%" in lines
    assert lines[-3].split() == ["aten::conv3d", "50.0%", "12"]
    assert lines[-1] == "sit down and wait"
