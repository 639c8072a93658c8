"""The locks of the cache: what is used stays, also where a lock's file was just removed."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from pathlib import Path

import pytest

from hpctrain.container.cache import Cache
from hpctrain.container.kept import note_use, remove, survey
from hpctrain.errors import ImageError

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


def test_unused__not_while_an_older_release_builds(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.image(DIGEST).write_text("image")
    (one,) = survey(cache)
    with (tmp_path / f"{DIGEST}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert remove(cache, one, is_whole=True) is None
    assert remove(cache, one, is_whole=True) == one.size


def test_remove__no_file_that_only_looks_like_half_an_image(tmp_path: Path) -> None:
    cache, mine = Cache(tmp_path), tmp_path / f"{DIGEST}.partial-notes.sif"
    for name in ("part12.sif", "sif"):
        (tmp_path / f"{DIGEST}.{name}").write_text("image")
    mine.write_text("mine")
    (one,) = survey(cache)
    remove(cache, one, is_whole=True)
    assert list(tmp_path.iterdir()) == [mine]


def test_survey__locks_of_layers_that_no_build_came_to_go(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with cache.used([DIGEST]):
        assert survey(cache) == []
        assert cache.user(DIGEST).exists()
    assert survey(cache) == []
    assert list(tmp_path.iterdir()) == []


def test_cache_of_other_people__serves_and_takes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:  # root, who runs tests, may write everywhere
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    cache = Cache(tmp_path)
    monkeypatch.setattr(Path, "open", refuse)
    with cache.used([DIGEST]):
        pass
    told = f"{tmp_path}: layers cannot be kept there: Permission denied; set XDG_CACHE_HOME"
    with pytest.raises(ImageError, match=told), cache.locked(DIGEST, lambda: None):
        pass


def test_cache__that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = Cache(tmp_path / "file" / "images")
    with pytest.raises(ImageError, match="Not a directory; set"), cache.used([DIGEST]):
        pass
