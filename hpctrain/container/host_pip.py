"""This machine's pip configuration, for a build: sites have mirrors, wheels and certificates."""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import unquote, urlparse

from hpctrain.errors import ImageError

_CERTIFICATES = "/usr/local/hpctrain/host-certificates.pem"
"""Where they are in the image while it is built; the image's own packages write the usual place."""


def host_pip() -> tuple[list[str], dict[str, str]]:
    """Binds and variables by which pip in the image does what pip does here."""
    return from_settings(read_settings(config_files(), os.environ))


def config_files() -> list[Path]:
    """Pip's configuration files, later ones before earlier ones; they need not be there."""
    home, config = Path.home(), os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    own = [home / ".pip" / "pip.conf", Path(config) / "pip" / "pip.conf"]
    named = os.environ.get("PIP_CONFIG_FILE")
    return [
        Path("/etc/pip.conf"),
        *own,
        Path(sys.prefix) / "pip.conf",
        *([Path(named)] if named else []),
    ]


def read_settings(files: Iterable[Path], environ: Mapping[str, str]) -> dict[str, str]:
    """Settings by pip's names; the environment comes before files, as with pip itself."""
    found: dict[str, str] = {}
    for path in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError) as e:
            raise ImageError(f"--host-pip: {path}: is no configuration of pip: {e}") from e
        for section in ("global", "download", "install"):
            if parser.has_section(section):
                found |= {name.replace("_", "-"): value for name, value in parser[section].items()}
    own = {k[4:].lower().replace("_", "-"): v for k, v in environ.items() if k.startswith("PIP_")}
    return {**found, **own}


def from_settings(settings: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """Binds and variables for settings by pip's names."""
    binds: list[str] = []
    env: dict[str, str] = {}
    for name in ("index-url", "extra-index-url", "find-links", "trusted-host", "default-timeout"):
        if name not in settings:
            continue
        env[f"PIP_{name.upper().replace('-', '_')}"] = " ".join(settings[name].split())
        if name != "trusted-host":
            binds += [f for word in settings[name].split() if (f := _folder(word))]
    if "cert" in settings and Path(settings["cert"]).is_file():
        binds.append(f"{settings['cert']}:{_CERTIFICATES}")
        env |= {"PIP_CERT": _CERTIFICATES, "SSL_CERT_FILE": _CERTIFICATES}
    return list(dict.fromkeys(binds)), env


def _folder(word: str) -> str | None:
    """The local folder that an address names, to be there in the image, too."""
    path = unquote(urlparse(word).path) if word.startswith("file:") else word
    if not path.startswith("/") or not os.path.isdir(path):
        return None
    # an index names files beside it
    return str(Path(path).parent) if Path(path).name == "simple" else path
