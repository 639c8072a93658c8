"""Pairing by the text that wildcards matched."""

import pytest

from hpctrain.errors import DataError
from hpctrain.index.match import check_twins, match_groups


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_match__steps_are_in_natural_order(tmp_path):
    touch(tmp_path, "m10.nc", "m2.nc", "m1.nc")
    assert [v for (v,) in match_groups(tmp_path, ["m*.nc"], "t").values()] == [
        "m1.nc", "m2.nc", "m10.nc",
    ]  # fmt: skip


def test_match__fields_are_joined_by_key_not_by_order(tmp_path):
    touch(tmp_path, "R0-a.npy", "R0-b.npy", "v/a.npy", "v/b.npy")
    groups = match_groups(tmp_path, ["R0-*.npy", "v/*.npy"], "t")
    assert groups == {("a",): ("R0-a.npy", "v/a.npy"), ("b",): ("R0-b.npy", "v/b.npy")}


def test_match__question_marks_and_stars_give_the_same_key(tmp_path):
    touch(tmp_path, "f01.npy", "g01.npy")
    assert list(match_groups(tmp_path, ["f??.npy", "./g*.npy"], "t")) == [("01",)]


def test_match__several_wildcards_and_folders(tmp_path):
    touch(tmp_path, "a/x/f1.npy", "b/f2.npy", "f3.npy", "b/.hidden.npy")
    assert set(match_groups(tmp_path, ["**/f[1-3].npy"], "t")) == {
        ("a/x/", "1"), ("b/", "2"), ("", "3"),
    }  # fmt: skip
    assert set(match_groups(tmp_path, ["*/f[!1].npy"], "t")) == {("b", "2")}


def test_match__missing_twin_is_named_not_shifted(tmp_path):
    touch(tmp_path, *(f"hr/f{i}.npy" for i in range(9)), *(f"v/f{i}.npy" for i in (0, 2, 9)))
    with pytest.raises(DataError) as e:
        match_groups(tmp_path, ["hr/f*.npy", "v/f*.npy"], "data.targets")
    assert "'hr/f*.npy' matches 9 files and data.targets 'v/f*.npy' 3" in str(e.value)
    assert "'v/f*.npy' has none for '1', '3', '4', '5', '6' and 2 more" in str(e.value)
    assert "'hr/f*.npy' has none for '9'" in str(e.value)


def test_match__equal_numbers_with_other_keys_are_no_pairs():
    with pytest.raises(DataError, match="inputs has none for '2'; targets has none for '3'"):
        check_twins("targets", [("1",), ("2",)], "inputs", [("1",), ("3",)])


def test_match__nothing_says_what_lies_there(tmp_path):
    touch(tmp_path, "hr/a.npy", "hr/b.npy")
    with pytest.raises(DataError, match=r"t 'hr/\*\.nc' matches no file .*hr holds a\.npy, b\.npy"):
        match_groups(tmp_path, ["hr/*.nc"], "t")


def test_match__a_broken_link_is_not_left_out_in_silence(tmp_path):
    touch(tmp_path, "a.npy")
    (tmp_path / "b.npy").symlink_to("gone.npy")
    with pytest.raises(DataError, match=r"b\.npy is no file that can be read"):
        match_groups(tmp_path, ["*.npy"], "t")


@pytest.mark.parametrize("pattern", ["../*.npy", "/etc/*.npy"])
def test_match__patterns_stay_under_the_root(tmp_path, pattern):
    with pytest.raises(DataError, match=r"leaves data\.root"):
        match_groups(tmp_path, [pattern], "t")


@pytest.mark.parametrize("name", ["a|b.npy", "a\nb.npy"])
def test_match__names_that_break_the_table_are_refused(tmp_path, name):
    touch(tmp_path, name)
    with pytest.raises(DataError, match="rename it"):
        match_groups(tmp_path, ["*.npy"], "t")


def test_match__hostile_names_are_plain_text(tmp_path):
    names = ["a b,c.npy", "d;$(e).npy", "f'\"g.npy", "ü+(h).npy"]
    touch(tmp_path, *names)
    found = match_groups(tmp_path, ["*.npy"], "t")
    assert sorted(v for (v,) in found.values()) == sorted(names)
