"""Paths between host and container, as mounts have them."""

from __future__ import annotations

import os

import pytest

from hpctrain.config.binds import Bind, Binds, bind_texts, parse, stage_folder, with_source
from tests.jobs import mantle


def binds(*texts: str, real=str) -> Binds:
    return Binds([parse(text) for text in texts], real)


@pytest.mark.parametrize(
    ("text", "source", "target", "options"),
    [
        ("/a", "/a", "/a", ()),
        ("/a/", "/a", "/a", ()),
        ("/a:/b", "/a", "/b", ()),
        ("/a//x/../y:/b/", "/a/y", "/b", ()),
        ("/a:/b:ro", "/a", "/b", ("ro",)),
        ("/a:/b:rw,nodev", "/a", "/b", ("rw", "nodev")),
        ("/a::ro", "/a", "/a", ("ro",)),
    ],
)
def test_parse(text, source, target, options):
    assert parse(text) == Bind(source, target, options, text)
    assert parse(text).is_read_only == ("ro" in options)


def test_with_source__keeps_the_rest_as_it_was():
    assert with_source("a:/b:ro", lambda s: f"/cwd/{s}") == "/cwd/a:/b:ro"
    assert with_source("a", str.upper) == "A"


CASES = [
    # one bind at its own place, and at another
    (["/data"], "/data/x", "/data/x"),
    (["/data"], "/data", "/data"),
    (["/data:/in"], "/data/x/y", "/in/x/y"),
    # a prefix of a name is no folder
    (["/data:/in"], "/database", None),
    (["/data:/in"], "/other", None),
    # of two the longest wins
    (["/p:/all", "/p/set:/set"], "/p/set/x", "/set/x"),
    (["/p/set:/set", "/p:/all"], "/p/set/x", "/set/x"),
    (["/p:/all", "/p/set:/set"], "/p/other", "/all/other"),
    # another bind hides the place; the next best is taken
    (["/p:/all", "/empty:/all/x"], "/p/x/y", None),
    (["/p:/all", "/empty:/all/x", "/p/x:/x"], "/p/x/y", "/x/y"),
    (["/p/set:/set", "/p:/all", "/else:/set"], "/p/set/x", "/set/x"),  # the first of a target
    (["/", "/else:/data"], "/data/x", None),
    (["/:/host"], "/data/x", "/host/data/x"),
]


@pytest.mark.parametrize(("texts", "host", "place"), CASES)
def test_host_to_container(texts, host, place):
    assert binds(*texts).host_to_container(host) == place
    if place is not None:
        assert binds(*texts).container_to_host(place) == host


@pytest.mark.parametrize(
    ("place", "host"),
    [
        ("/all/x/y", "/empty/y"),
        ("/all/z", "/p/z"),
        ("/all", "/p"),
        ("/allx", None),
        ("/usr/lib", None),
    ],
)
def test_container_to_host__nested_binds_hide_what_is_beneath(place, host):
    assert binds("/p:/all", "/empty:/all/x").container_to_host(place) == host


def test_links__are_followed_on_the_host(tmp_path):
    real, link = tmp_path / "real", tmp_path / "link"
    (real / "set").mkdir(parents=True)
    link.symlink_to(real)
    by_link = binds(f"{link}:/in", real=os.path.realpath)
    assert by_link.host_to_container(f"{real}/set/x") == "/in/set/x"
    assert by_link.host_to_container(f"{link}/set/x") == "/in/set/x"
    assert binds(f"{link}:/in").host_to_container(f"{real}/set/x") is None
    by_real = binds(f"{real}:/in", real=os.path.realpath)
    assert by_real.host_to_container(f"{link}/set/x") == "/in/set/x"


def test_job__order_of_the_command_and_each_once():
    job = mantle("local", "container={image: x.sif, binds: [/a, /b:/c]}", "data.root=/data").job
    assert bind_texts(job, ["/opt", "/a"]) == ["/opt", "/a", "/b:/c", "/data"]
    assert bind_texts(job, [], "/local") == ["/a", "/b:/c", "/data", "/local"]
    assert bind_texts(job, [], "$TMPDIR/x") == ["/a", "/b:/c", "/data"]


def test_stage_folder__the_job_s_before_the_site_s():
    own = mantle("local", "data.stage=node_local", "data.stage_dir=$TMPDIR/x").job
    plain = mantle("local", "data.stage=node_local").job
    assert stage_folder(own, "/local") == "$TMPDIR/x"
    assert stage_folder(plain, "/local") == "/local"
    assert stage_folder(plain, None) is None
    assert stage_folder(mantle("local").job, "/local") is None
