"""The page, and its twin for programs."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from hpctrain.doctor.secret import Masker
from hpctrain.doctor.ticket import in_words, print_page, summary, ticket, write_ticket
from hpctrain.doctor.topic import Topic, amount
from hpctrain.errors import HpctrainError

MASKER = Masker({"HF_TOKEN": "hf_secret"})


@pytest.fixture
def topics() -> list[Topic]:
    mpi, empty = Topic("mpi", facts={"words": "hf_secret"}), Topic("allreduce")
    mpi.ok("launcher", "Open MPI 5.0.11, /opt/bin/mpirun")
    mpi.error("mpi4py", "was built with [red]hf_secret[/red]", "build it again")
    return [mpi, empty]


def page(topics: list[Topic], width: int = 80) -> str:
    out = io.StringIO()
    print_page(topics, Console(file=out, width=width, highlight=False), MASKER)
    return out.getvalue()


def test_page__plain_and_aligned(topics: list[Topic]) -> None:
    assert page(topics) == (
        "mpi\n"
        "  ok       launcher        Open MPI 5.0.11, /opt/bin/mpirun\n"
        "  error    mpi4py          was built with [red]***[/red]\n"
        "                           do: build it again\n"
    )


def test_page__long_lines_go_on_below(topics: list[Topic]) -> None:
    topics[0].note("long", "word " * 40)
    assert max(map(len, page(topics, 100).splitlines())) <= 100
    path = "/" + "a" * 150
    topics[0].note("path", path)
    assert path in page(topics)


def test_ticket__has_all_and_nothing_secret(topics: list[Topic]) -> None:
    found = ticket(topics, "2026-11-22T00:00:00+00:00", MASKER)
    assert found["schema"] == "hpctrain-doctor/1"
    assert found["summary"] == {"error": 1, "warning": 0, "note": 0, "ok": 1} == summary(topics)
    assert found["lines"][1] == {
        "topic": "mpi",
        "severity": "error",
        "name": "mpi4py",
        "text": "was built with [red]***[/red]",
        "remedy": "build it again",
    }
    assert "hf_secret" not in json.dumps(found)


def test_in_words__names_the_topics_to_look_at(topics: list[Topic]) -> None:
    assert in_words(topics) == "1 error (mpi)"
    assert in_words([]) == "all is well"


def test_write_ticket__whole_or_not_at_all(topics: list[Topic], tmp_path: Path) -> None:
    found = ticket(topics, "now", MASKER)
    write_ticket(found, tmp_path / "d.json")
    assert json.loads((tmp_path / "d.json").read_text()) == found
    (tmp_path / "folder").mkdir()
    with pytest.raises(HpctrainError, match=r"--json: .*folder cannot be written \(Is a directory"):
        write_ticket(found, tmp_path / "folder")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.json", "folder"]


@pytest.mark.parametrize(
    ("count", "expected"),
    [(5, "5 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (64 << 20, "64 MiB"), (3 << 40, "3 TiB")],
)
def test_amount(count: int, expected: str) -> None:
    assert amount(count) == expected
