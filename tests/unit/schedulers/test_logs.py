"""Which log is the newest, its end, and what is added."""

import os

from hpctrain.schedulers.logs import Follower, last_lines, log_files


def write(run, name: str, text: str, age_s: float = 0.0):
    path = run / "logs" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    os.utime(path, (1e9 - age_s, 1e9 - age_s))
    return path


def test_log_files__all_of_the_newest_job(tmp_path):
    write(tmp_path, "1.output", "", 50)
    write(tmp_path, "2.error", "", 9)
    write(tmp_path, "2.output", "", 5)
    write(tmp_path, "metrics.jsonl", "")
    write(tmp_path, ".lock", "")
    assert [path.name for path in log_files(tmp_path)] == ["2.error", "2.output"]


def test_log_files__none(tmp_path):
    assert log_files(tmp_path) == []


def test_last_lines__of_a_long_file(tmp_path):
    path = write(tmp_path, "1.out", "".join(f"line {i} {'x' * 90}\n" for i in range(5000)))
    assert [line.split()[1] for line in last_lines(path, 3)] == ["4997", "4998", "4999"]
    assert len(last_lines(path, 10**6)) == 5000
    assert last_lines(path, 0) == []
    assert last_lines(tmp_path / "none", 3) == []


def test_follower__what_is_added_also_by_a_new_file(tmp_path):
    path = write(tmp_path, "1.out", "old\n")
    follower = Follower(tmp_path)
    assert list(follower.new()) == []
    with path.open("a") as file:
        file.write("more\n")
    write(tmp_path, "2.out", "next job\n", -5)
    assert sorted((p.name, text) for p, text in follower.new()) == [
        ("1.out", "more\n"),
        ("2.out", "next job\n"),
    ]
    assert list(follower.new()) == []


def test_follower__a_file_that_was_begun_anew(tmp_path):
    write(tmp_path, "1.out", "a long old text\n")
    follower = Follower(tmp_path)
    write(tmp_path, "1.out", "new\n")
    assert [text for _, text in follower.new()] == ["new\n"]
