"""Clocks, from recorded words and measured offsets."""

from __future__ import annotations

import pytest

from hpctrain.doctor.clock import chrony, clock_topic, timedatectl

CHRONY = """Reference ID    : A29FC87B (162.159.200.123)
Stratum         : 4
System time     : 0.000012345 seconds slow of NTP time
Leap status     : Normal
"""


def offset(rank: int, host: str, seconds: float, error: float = 0.0001):
    return {"rank": rank, "host": host, "offset_s": seconds, "error_s": error}


def test_chrony__recorded() -> None:
    assert chrony(CHRONY) == (True, "chrony: normal, 12.3 us slow")
    assert chrony(CHRONY.replace("Normal", "Not synchronised"))[0] is False
    assert chrony("506 Cannot talk to daemon") is None


def test_timedatectl__recorded() -> None:
    assert timedatectl("NTP=yes\nNTPSynchronized=yes\n")[0] is True
    assert timedatectl("NTP=yes\nNTPSynchronized=no\n")[0] is False
    assert timedatectl("System has not been booted with systemd") is None


@pytest.mark.parametrize(
    ("seconds", "error", "expected"),
    [(0.002, 0.0001, "ok"), (-3.0, 0.0001, "warning"), (3.0, 2.5, "ok")],
)
def test_clock__skew_beyond_its_error(seconds: float, error: float, expected: str) -> None:
    topic = clock_topic([offset(0, "a", 0.0), offset(1, "b", seconds, error)])
    (line,) = [line for line in topic.lines if line.name == "skew"]
    assert line.severity == expected


def test_clock__of_one_host_the_best_known_counts() -> None:
    rows = [offset(0, "a", 0.0), offset(1, "b", 5.0, 9.0), offset(2, "b", 0.001)]
    (line,) = [line for line in clock_topic(rows).lines if line.name == "skew"]
    assert line.text == "2 hosts within 1 ms of a, measured to 100 us"


def test_clock__one_host_has_no_skew() -> None:
    assert not [line for line in clock_topic([offset(0, "a", 0.0)]).lines if line.name == "skew"]
