"""An MPI's release as a local archive: what its name says, and what is in it."""

from __future__ import annotations

import io
import random
import tarfile
from pathlib import Path
from typing import Any

import pytest

from hpctrain.container import definition, recipe
from hpctrain.container.inputs import digest_of_inputs
from hpctrain.container.mpi_source import MpiSource, refuse_unfit
from hpctrain.container.versions import PREFIX
from hpctrain.errors import ConfigError


def archive(path: Path, folder: str, mode: str = "w:xz") -> Path:
    with tarfile.open(path, mode) as file:  # type: ignore[call-overload]
        info = tarfile.TarInfo(f"{folder}/configure")
        info.size = 2
        file.addfile(info, io.BytesIO(b"#!"))
    return path


def many(path: Path, mode: str) -> Path:
    """An archive of 50 members; at most 2 % of it is padding."""
    with tarfile.open(path, mode) as file:  # type: ignore[call-overload]
        for number in range(50):
            info = tarfile.TarInfo(f"openmpi-1.0/{number}")
            info.size = 10_000
            file.addfile(info, io.BytesIO(random.Random(number).randbytes(info.size)))
    return path


@pytest.mark.parametrize(
    ("family", "name", "version"),
    [
        ("openmpi", "openmpi-5.0.7.tar.bz2", "5.0.7"),
        ("openmpi", "openmpi_5.0.7.orig.tar.xz", "5.0.7"),
        ("mpich", "mpich-4.3.0rc1.tar.gz", "4.3.0rc1"),
        ("mpich", "mpich-3.4.2.tgz", "3.4.2"),
    ],
)
def test_source__its_name_says_the_release(family: str, name: str, version: str) -> None:
    found = recipe(family=family, source=name, cwd=Path("/data"))
    assert found.mpi_version == version
    assert found.source == MpiSource(f"/data/{name}", version)


def test_source__is_compiled_on_a_distribution_too() -> None:
    found = recipe(base="debian12", source="/a/mpi.tar", mpi_version="5.1")
    assert found.mpi_version == "5.1", "a release that the table need not know"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"source": "/a/mpich-4.0.2.tar.gz"}, "is mpich's, and the image's MPI is openmpi"),
        ({"source": "/a/openmpi-5.0.7.tar.gz", "mpi_version": "5.0.8"}, "is release 5.0.7, and"),
        ({"source": "/a/mpi.tar.gz"}, "its name says no release, .*give --mpi-version, too"),
        ({"source": "/a b/openmpi-5.0.7.tar.gz"}, "cannot stand in a definition.*rename"),
        ({"source": "/{{a}}/openmpi-5.0.7.tar.gz"}, "cannot stand in a definition"),
        ({"source": "/a/openmpi-5.0.7.tar.gz", "mpi_from": "distribution"}, "has no effect on"),
        ({"source": "~nosuchuser/openmpi-5.1.tar"}, "no home folder is known for ~nosuchuser"),
        ({"source": ""}, "is empty; give the path of an archive of openmpi"),
        ({"source": "", "base": "debian12"}, "is empty"),
    ],
)
def test_source__says_what_is_wrong(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^--mpi-source: .*{sentence}"):
        recipe(**options)


@pytest.mark.parametrize(
    "version", ["5.1\n touch /x; {{ x }}", "5.1 ", "5", "5.1\n", "5.1-rc1", "\u0665.1", "$(id)", ""]
)
def test_source__a_release_is_no_code(version: str) -> None:
    for name in ("mpi.tar", f"openmpi-{version}.tar"):
        with pytest.raises(ConfigError, match="is no release; allowed|cannot stand in") as found:
            recipe(source=f"/a/{name}", mpi_version=version)
        assert "\n" not in str(found.value)


MODES = ["w", "w:gz", "w:bz2", "w:xz"]


@pytest.mark.parametrize("mode", MODES)
def test_archive__of_the_family_fits(tmp_path: Path, mode: str) -> None:
    path = archive(tmp_path / "x.tar", "mpich-4.0.2", mode)
    refuse_unfit(MpiSource(str(path), "4.0.2"), "mpich")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("share", [0.9, 0.97])
def test_archive__that_is_cut_short_is_none(tmp_path: Path, mode: str, share: float) -> None:
    path = many(tmp_path / "openmpi-1.0.tar", mode)
    refuse_unfit(MpiSource(str(path), "1.0"), "openmpi")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ConfigError, match="is no tar archive, or half of one"):
        refuse_unfit(MpiSource(str(path), "1.0"), "openmpi")


@pytest.mark.parametrize("more", [0, 100, tarfile.BLOCKSIZE, tarfile.BLOCKSIZE + 1])
def test_archive__that_is_cut_at_a_member_is_none(tmp_path: Path, more: int) -> None:
    path = many(tmp_path / "openmpi-1.0.tar", "w")
    with tarfile.open(path) as file:
        place = file.getmembers()[40].offset
    path.write_bytes(path.read_bytes()[: place + more])
    with pytest.raises(ConfigError, match="half of one"):
        refuse_unfit(MpiSource(str(path), "1.0"), "openmpi")


@pytest.mark.parametrize("mode", MODES[1:])
def test_archive__with_a_changed_byte_is_refused(tmp_path: Path, mode: str) -> None:
    path = many(tmp_path / "openmpi-1.0.tar", mode)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(ConfigError, match="half of one|cannot be read: [A-Z]"):
        refuse_unfit(MpiSource(str(path), "1.0"), "openmpi")


def test_archive__says_what_is_wrong_with_it(tmp_path: Path) -> None:
    def refused(path: Path, family: str = "openmpi") -> str:
        with pytest.raises(ConfigError) as found:
            refuse_unfit(MpiSource(str(path), "1.0"), family)
        assert str(found.value).startswith(f"--mpi-source: {path}: ")
        assert "\n" not in str(found.value)
        return str(found.value)

    page = tmp_path / "openmpi-1.0.tar.gz"
    assert "no such file" in refused(page)
    page.write_text("<html>403 Forbidden</html>")
    assert "is no tar archive" in refused(page)
    assert "'mpich-4.0.2' and no openmpi" in refused(archive(tmp_path / "x", "mpich-4.0.2"))
    assert "holds a folder 'openmpich' and no openmpi" in refused(archive(page, "openmpich"))
    whole = archive(tmp_path / "z", "openmpi-1.0").read_bytes()
    (tmp_path / "z").write_bytes(whole[: len(whole) // 2])
    assert "is no tar archive" in refused(tmp_path / "z")
    assert "cannot be read: Is a directory" in refused(tmp_path)


def test_definition__carries_the_archive_in_and_fetches_nothing(tmp_path: Path) -> None:
    path = archive(tmp_path / "mpich-4.0.2.tar.xz", "mpich-4.0.2")
    text = definition(recipe(family="mpich", source=str(path)), version="1")
    assert f"on the machine that builds\n    {path} {PREFIX}/mpi.tar\n" in text
    assert f"tar xf {PREFIX}/mpi.tar" in text
    assert "mpich.org" not in text
    before = digest_of_inputs(text, tmp_path)
    archive(path, "mpich-4.0.2-changed")
    assert digest_of_inputs(text, tmp_path) != before, "another archive makes another image"
