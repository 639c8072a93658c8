"""This machine's pip configuration, for a build."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpctrain.container.host_pip import from_settings, read_settings
from hpctrain.errors import ImageError


def test_read_settings__the_environment_comes_before_files(tmp_path: Path) -> None:
    first, second = tmp_path / "a.conf", tmp_path / "b.conf"
    first.write_text("[global]\nindex-url = https://a/simple\ncert = /a.pem\n")
    second.write_text("[global]\nindex_url = https://b/simple\n[list]\nformat = json\n")
    found = read_settings([first, second, tmp_path / "none"], {"PIP_CERT": "/b.pem", "X": "y"})
    assert found == {"index-url": "https://b/simple", "cert": "/b.pem"}


def test_read_settings__a_torn_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("index-url = https://a/simple\n")
    with pytest.raises(ImageError, match=r"pip\.conf: is no configuration of pip"):
        read_settings([tmp_path / "pip.conf"], {})


def test_from_settings__local_folders_and_certificates_are_bound(tmp_path: Path) -> None:
    simple = tmp_path / "my%20index" / "simple"
    (tmp_path / "my index" / "simple").mkdir(parents=True)
    (tmp_path / "wheels").mkdir()
    (tmp_path / "ca.pem").touch()
    binds, env = from_settings(
        {
            "extra-index-url": f"\nfile://{simple}\nhttps://x/simple",
            "find-links": f"{tmp_path}/wheels /not/there",
            "cert": f"{tmp_path}/ca.pem",
            "timeout": "3",
        }
    )
    assert binds[:2] == [f"{tmp_path}/my index", f"{tmp_path}/wheels"]
    assert binds[2].startswith(f"{tmp_path}/ca.pem:/usr/local/")
    assert env["PIP_EXTRA_INDEX_URL"] == f"file://{simple} https://x/simple"
    assert env["PIP_CERT"] == env["SSL_CERT_FILE"] == binds[2].partition(":")[2]
    assert "PIP_TIMEOUT" not in env


def test_from_settings__nothing_said_changes_nothing() -> None:
    assert from_settings({}) == ([], {})
