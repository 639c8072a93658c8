"""Space: counted by what is missing, added up by disk, refused before anything starts."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path

import pytest

from hpctrain.container import room
from hpctrain.container.room import needs, refuse_small
from hpctrain.errors import ImageError

SIZES = {"system": 0.5, "python": 1.0, "image": 1.2, "unpacked": 4.0}
Usage = namedtuple("Usage", "free")


def wanted(folder: Path, *missing: str) -> list[room.Need]:
    return needs(SIZES, missing, dict.fromkeys(("cache", "tmp", "image"), folder))


def test_needs__only_what_is_missing(tmp_path: Path) -> None:
    assert [need.size_gb for need in wanted(tmp_path, "system", "python")] == [1.5, 4.0, 1.2]
    assert [need.size_gb for need in wanted(tmp_path, "python")] == [1.0, 4.0, 1.2]
    assert [need.size_gb for need in wanted(tmp_path)] == [0.0, 0.0, 1.2]


def test_refuse_small__adds_up_what_is_on_one_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _: Usage(6 * room.GB))
    refuse_small(wanted(tmp_path / "not" / "yet"))
    with pytest.raises(ImageError, match=r"4.0 GB in .* 6.0 GB are free there; name .* --tmp"):
        refuse_small(wanted(tmp_path / "not" / "yet", "system", "python"))
