"""Addresses with a password are refused, others taken as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpctrain.config.address import has_password
from hpctrain.config.load import read_site
from hpctrain.errors import ConfigError

SITE = "name: own\ntitle: x\nscheduler: slurm\nlauncher: {kind: srun}\n"


@pytest.mark.parametrize(
    "value",
    [
        "http://alice:hunter2@proxy:3128",
        "alice:hunter2@proxy:3128",
        "https://__token__:hunter2@index.example/simple",
        "https://:hunter2@index.example/simple",
        "http://alice:hunter2@23@proxy",
        "http://alice:hunter/2@proxy",
        "http://alice:123@proxy",
        "docker://alice:hunter2@registry.example/image:1",
        "docker://alice:hunter2@registry.example/image@sha256:" + "a" * 64,
    ],
)
def test_has_password(value: str) -> None:
    assert has_password(value)


@pytest.mark.parametrize(
    "value",
    [
        "http://proxy:3128",
        "proxy:3128",
        "debian12",
        "https://alice@index.example/simple",
        "https://index.example:8080/simple/@scope:1",
        "https://index.example/a:b@c",
        "docker://registry.example:5000/image@sha256:" + "a" * 64,
        "docker://debian:12@sha256:" + "a" * 64,
        "/images/a:b@c.sif",
        "./a:b@c.sif",
        "file:///wheels/a:b@c",
        "pip",
    ],
)
def test_has_none(value: str) -> None:
    assert not has_password(value)


@pytest.mark.parametrize(
    "lines",
    [
        "proxy: VALUE",
        "container: {build: {base: 'docker://VALUE'}}",
        "container: {build: {mirror: VALUE}}",
        "container: {build: {pip_index: VALUE}}",
        "container: {build: {torch_index: VALUE}}",
    ],
)
def test_site__with_a_password_is_refused_and_does_not_repeat_it(
    tmp_path: Path, lines: str
) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(SITE + lines.replace("VALUE", "alice:hunter2@proxy.example:3128") + "\n")
    with pytest.raises(ConfigError, match="holds USER:PASSWORD@.*--env https_proxy") as found:
        read_site(str(path))
    assert "hunter2" not in str(found.value)
    path.write_text(SITE + lines.replace("VALUE", "proxy.example:3128") + "\n")
    read_site(str(path))
