"""The locks of the cache: what is used stays, also where a lock's file was just removed."""

from __future__ import annotations

import threading
from pathlib import Path

from hpctrain.container.cache import Cache
from hpctrain.container.kept import note_use, remove, survey

DIGEST = "0123456789abcdef"


def test_used__by_several_at_a_time(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "images")
    with cache.used([DIGEST]), cache.used([DIGEST, "f" * 16]), cache.unused(DIGEST) as is_free:
        assert not is_free
    with cache.unused(DIGEST) as is_free:
        assert is_free


def test_used__waits_for_a_removal_and_then_locks_what_is_there(tmp_path: Path) -> None:
    cache, is_used, is_over = Cache(tmp_path), threading.Event(), threading.Event()

    def build() -> None:
        with cache.used([DIGEST]):
            is_used.set()
            is_over.wait(20)

    builder = threading.Thread(target=build)
    with cache.unused(DIGEST):
        builder.start()
        assert not is_used.wait(0.2)
        cache.user(DIGEST).unlink()
    assert is_used.wait(20)
    with cache.unused(DIGEST) as is_free:
        assert not is_free
    is_over.set()
    builder.join()


def test_remove__of_a_layer_that_a_build_began_to_use_meanwhile(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.image(DIGEST).write_text("image")
    note_use(cache, DIGEST, "python", tmp_path / "a.sif")
    (one,) = survey(cache)
    with cache.used([DIGEST]):
        assert remove(cache, one, is_whole=True) is None
        assert cache.image(DIGEST).exists()
    assert remove(cache, one, is_whole=True) == one.size
    assert list(tmp_path.iterdir()) == []


def test_survey__cache_of_an_older_release(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.image(DIGEST).write_text("image")
    cache.log(DIGEST).write_text("words")
    (tmp_path / "notes.txt").write_text("mine")
    (one,) = survey(cache)
    assert (one.layer, one.image, one.size, one.is_whole) == ("", "", 10, True)
