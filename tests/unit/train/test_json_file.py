from __future__ import annotations

import pytest

from hpctrain.train.json_file import write_json


def test_nan_that_is_not_allowed__leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "page.json"
    write_json(target, {"a": 1}, allow_nan=False)
    before = target.read_text()
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(target, {"a": float("nan")}, allow_nan=False)
    assert target.read_text() == before
    assert list(tmp_path.iterdir()) == [target]
