"""Programs that answer, are missing, or late."""

import time

import pytest

from hpctrain.preflight.ask import SilentError, ask


def test_ask__both_streams_in_one_line(programs):
    programs.add("tool", out="a\nb\n", err="oh\n", code=3)
    answer = ask(["tool", "x y"])
    assert answer is not None
    assert (answer.code, answer.out, answer.words) == (3, "a\nb\n", "oh a b")
    assert programs.words("tool") == ["x y"]


def test_ask__no_such_program(programs):
    assert ask(["tool"]) is None


def test_ask__one_that_does_not_answer(programs):
    programs.add("tool", body="exec sleep 20")
    begin = time.monotonic()
    with pytest.raises(SilentError, match=r"`tool` did not answer within 0\.2 s"):
        ask(["tool"], timeout_s=0.2)
    assert time.monotonic() - begin < 5


def test_ask__one_that_cannot_be_started(programs):
    programs.add("tool")
    (programs.folder / "tool").write_bytes(b"#!/nosuch/interpreter\n")
    with pytest.raises(SilentError, match="could not be started: No such file"):
        ask(["tool"])
