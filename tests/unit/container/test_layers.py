"""A definition cut into layers, and what makes their digests."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpctrain.container import definition, recipe
from hpctrain.container.layers import split
from hpctrain.errors import ImageError

TEXT = definition(recipe(base="debian12"), version="1", revision="abc", title="for job one")
MARKED = """Bootstrap: localimage
From: base.sif

%labels
    a b
%files
    x /x
%post
    set -eu
    #:layer first
    echo one
    #:layer second
    echo two
%test
    true
"""


def digests(text: str) -> list[str]:
    return [layer.digest for layer in split(text)]


def test_split__a_rendered_definition_has_its_layers() -> None:
    assert [layer.name for layer in split(TEXT)] == ["system", "python", "horovod", "labels"]
    compiled = definition(recipe(comm="ddp"), version="1")
    assert [layer.name for layer in split(compiled)] == ["system", "mpi", "python", "labels"]


def test_split__every_layer_is_a_definition_of_its_own() -> None:
    first, second = split(MARKED)
    assert first.text(None).startswith("Bootstrap: localimage\nFrom: base.sif\n")
    assert "    x /x\n" in first.body
    assert "%post\n    set -eu\n    echo one\n" in first.body
    assert "%test" not in first.body
    text = second.text(Path("/cache/first.sif"))
    assert text.startswith("Bootstrap: localimage\nFrom: /cache/first.sif\n")
    assert "%post\n    set -eu\n    echo two\n" in text
    assert "%labels\n    a b\n" in text
    assert "%test\n    true\n" in text
    assert "%files" not in text


def test_split__no_command_is_lost_or_doubled() -> None:
    whole = [line for line in TEXT.splitlines() if line.startswith("    pip install")]
    parts = [line for layer in split(TEXT) for line in layer.body.splitlines()]
    assert [line for line in parts if line.startswith("    pip install")] == whole


def test_split__a_change_of_a_step_leaves_those_below() -> None:
    before, after = digests(TEXT), digests(TEXT.replace("VERSION=0.28.1", "VERSION=0.28.2"))
    assert before[:2] == after[:2]
    assert not set(before[2:]) & set(after[2:])


def test_split__another_revision_or_test_costs_the_last_layer_alone() -> None:
    assert digests(TEXT)[:3] == digests(TEXT.replace("abc", "def"))[:3]
    assert digests(TEXT)[3] != digests(TEXT.replace("abc", "def"))[3]


def test_split__another_job_or_comment_costs_nothing() -> None:
    assert digests(TEXT) == digests(TEXT.replace("for job one", "for job two"))


def test_split__another_base_changes_all() -> None:
    assert not set(digests(TEXT)) & set(digests(TEXT.replace("bookworm", "trixie")))
    other = [layer.digest for layer in split(MARKED, base_digest="abc")]
    assert not set(digests(MARKED)) & set(other)


def test_split__a_definition_of_ones_own_is_one_layer() -> None:
    text = MARKED.replace("#:layer", "# layer")
    (layer,) = split(text)
    assert layer.text(None).split() == text.split()


def test_split__anything_else_is_refused() -> None:
    with pytest.raises(ImageError, match="a definition begins with `Bootstrap"):
        split("name: mantle\n")


def test_text__makes_places_to_mount_on() -> None:
    text = split(MARKED)[0].text(None, ["/opt/my wheels/", "/etc/pip's.conf"])
    assert "mkdir -p \"${APPTAINER_ROOTFS:-$SINGULARITY_ROOTFS}\"'/opt/my wheels'" in text
    assert "'/etc/pip'\\''s.conf' ] || : >" in text
