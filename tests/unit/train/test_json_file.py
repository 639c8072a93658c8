from __future__ import annotations

import json

import pytest

from hpctrain.errors import TrainError
from hpctrain.provenance import Stamp
from hpctrain.provenance.files import read, stamped_page
from hpctrain.train.json_file import write_json

NAN, INF = float("nan"), float("inf")


def refuse(word):
    raise AssertionError(f"{word} is no JSON")


def test_numbers_that_are_not_finite__become_null(tmp_path):
    target = tmp_path / "page.json"
    write_json(target, {"a": NAN, "b": [1.5, INF, (-INF, 2)], "c": {"d": NAN, "e": "nan"}})
    found = json.loads(target.read_text(), parse_constant=refuse)
    assert found == {"a": None, "b": [1.5, None, [None, 2]], "c": {"d": None, "e": "nan"}}


def test_stamp__is_of_what_stands_in_the_file(tmp_path):
    target = tmp_path / "page.json"
    write_json(target, stamped_page({"rmse": NAN, "epoch": 3}, Stamp("evaluation")))
    assert read(target).is_intact
    target.write_text(target.read_text().replace('"epoch": 3', '"epoch": 4'))
    assert read(target).is_intact is False


def test_write__that_fails_leaves_nothing(tmp_path):
    (tmp_path / "page.json").mkdir()
    with pytest.raises(TrainError, match=r"page\.json"):
        write_json(tmp_path / "page.json", {"a": 1})
    assert [p.name for p in tmp_path.iterdir()] == ["page.json"]
