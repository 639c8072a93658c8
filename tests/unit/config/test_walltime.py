"""Walltimes."""

import pytest

from hpctrain.config.walltime import format_walltime, parse_walltime


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("02:00:00", 7200), ("2:00:00", 7200), ("00:01:00", 60), ("168:30:05", 606605)],
)
def test_parse_walltime__text(text, seconds):
    assert parse_walltime(text) == seconds


@pytest.mark.parametrize("value", [7200, 90, 1.5, True])
def test_parse_walltime__number_is_refused_with_the_way_out(value):
    with pytest.raises(ValueError, match='quote it: walltime: "02:00:00"'):
        parse_walltime(value)


@pytest.mark.parametrize(
    "text", ["1:30", "90", "1-00:00:00", "01:60:00", "01:00:60", "", " 1:00:00"]
)
def test_parse_walltime__other_forms_are_refused(text):
    with pytest.raises(ValueError, match="HH:MM:SS"):
        parse_walltime(text)


def test_parse_walltime__less_than_a_minute_is_refused():
    with pytest.raises(ValueError, match="one minute"):
        parse_walltime("00:00:59")


@pytest.mark.parametrize("seconds", [60, 3599, 7200, 606605])
def test_format_walltime__reads_back(seconds):
    assert parse_walltime(format_walltime(seconds)) == seconds
