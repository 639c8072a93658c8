"""The journal of a conversion after all kinds of ends."""

import pytest

from hpctrain.convert.journal import Journal
from hpctrain.errors import ConfigError

ASKED = {"to": "npy", "sources": "abc"}


def written(folder, *units) -> bytes:
    journal = Journal(folder, ASKED, "")
    for unit in units:
        journal.add(unit, {"sha256": "0" * 64})
    journal.close()
    return (folder / "journal.jsonl").read_bytes()


def test_journal__goes_on(tmp_path):
    written(tmp_path / "a", "one", "two ünï")
    written(tmp_path / "a", "three")
    journal = Journal(tmp_path / "a", ASKED, "")
    assert list(journal.done) == ["one", "two ünï", "three"]
    journal.close()


def test_journal__torn_at_every_byte(tmp_path):
    whole = written(tmp_path / "a", "one", "two")
    path = tmp_path / "a" / "journal.jsonl"
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        journal = Journal(tmp_path / "a", ASKED, "")
        count = sum(end <= size for end in ends)
        assert list(journal.done) == ["one", "two"][: max(0, count - 1)]
        journal.add("later", {})
        journal.close()
        again = Journal(tmp_path / "a", ASKED, "")
        assert "later" in again.done, "a line behind a torn one would be lost"
        again.close()


def test_journal__of_something_else(tmp_path):
    before = written(tmp_path / "a", "one")
    with pytest.raises(ConfigError, match=r"another kind \(sources differ\); go away"):
        Journal(tmp_path / "a", ASKED | {"sources": "xyz"}, "go away")
    assert (tmp_path / "a" / "journal.jsonl").read_bytes() == before
