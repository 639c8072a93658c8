"""One text, three times: what each scheduler makes of it."""

import pytest

from hpctrain.directives.walltime import clock, walltime_s


@pytest.mark.parametrize(
    ("text", "pbs", "slurm", "cobalt"),
    [
        ("90", 90, 5400, 5400),
        ("1:30", 90, 90, 5400),
        ("01:30:00", 5400, 5400, 5400),
        ("1:90:00", 9000, 9000, 9000),
        ("00:30:30", 1830, 1830, 1800),
        ("1-00:00:00", None, 86400, None),
        ("1-12", None, 129600, None),
        ("1-12:30", None, 131400, None),
        ("1:00:00:00", None, None, 86400),
        ("30.5", 30, None, None),
        ("2h", None, None, None),
        ("", None, None, None),
        ("00:00:99", 99, 99, None),
        ("UNLIMITED", None, None, None),
    ],
)
def test_walltime_s__every_scheduler(text, pbs, slurm, cobalt):
    for scheduler, expected in (("pbs", pbs), ("slurm", slurm), ("cobalt", cobalt)):
        if expected is None:
            with pytest.raises(ValueError, match="allowed|no limit"):
                walltime_s(text, scheduler)
        else:
            assert walltime_s(text, scheduler) == expected, scheduler


def test_clock__is_read_alike_everywhere():
    for seconds in (60, 3600, 5400, 90000):
        text = clock(seconds)
        assert {walltime_s(text, s) for s in ("pbs", "slurm", "cobalt")} == {seconds}
