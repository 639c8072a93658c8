"""Speeds of allreduce in numbers that people read, and a word where they are low."""

from __future__ import annotations

import pytest

from hpctrain.doctor.speed import allreduce_topic


def said(size: int, time_us: float, algorithm: float) -> str:
    row = {"bytes": size, "time_us": time_us, "algbw_gb_s": algorithm, "busbw_gb_s": algorithm / 2}
    notes = [{"allreduce": [row], "devices": {"gpus": []}, "comm": "horovod"}] * 2
    (line,) = allreduce_topic(notes).lines
    return f"{line.severity} {line.name}: {line.text}"


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ((1 << 10, 108.3, 9.457e-06), "1 KiB: horovod over 2 CPUs: 108 us, algorithm 9.46 kB/s"),
        ((1 << 20, 25147.0, 0.0417), "1 MiB: horovod over 2 CPUs: 25.1 ms, algorithm 41.7 MB/s"),
        ((1 << 26, 5000.0, 13.42), "64 MiB: horovod over 2 CPUs: 5000 us, algorithm 13.4 GB/s"),
        ((1 << 26, 999499.0, 999.6), "64 MiB: horovod over 2 CPUs: 999 ms, algorithm 1000 GB/s"),
        ((1 << 26, 999700.0, 0.9996), "64 MiB: horovod over 2 CPUs: 1 s, algorithm 1 GB/s"),
        ((1 << 20, 1187000.0, 2.4e-8), "1 MiB: horovod over 2 CPUs: 1.19 s, algorithm 0.024 kB/s"),
        ((1 << 20, 9999.6, 0.0009996), "1 MiB: horovod over 2 CPUs: 10 ms, algorithm 1 MB/s"),
        ((1 << 26, 1.2345e9, 12345), "64 MiB: horovod over 2 CPUs: 1230 s, algorithm 12300 GB/s"),
    ],
)
def test_allreduce__units(given: tuple[int, float, float], line: str) -> None:
    found = said(*given)
    assert found.startswith(f"ok {line}, bus ")


def test_allreduce__slow_for_large_ones_alone() -> None:
    assert said(1 << 26, 2e6, 0.03).startswith("warning 64 MiB: ")
    assert said(1 << 26, 2e6, 0.03).endswith("algorithm 30 MB/s, bus 15 MB/s; that is slow")
    assert said(1 << 10, 2e6, 0.03).startswith("ok ")
