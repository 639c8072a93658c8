"""Addresses that end up in files which others may read, so they hold no password."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from hpctrain.config.words import Line

_USER = re.compile(r"[^/@]*:(?!\d+(?:/|$))[^@]*@")
"""Something with a colon before an @; `HOST:PORT/...@...` is none."""
_DIGEST = re.compile(r"@[a-z0-9+._-]+:[0-9a-fA-F]{32,}$")
"""The end of an image's name, such as `debian:12@sha256:...`."""


def has_password(value: str) -> bool:
    """Whether an address, with or without its scheme, holds USER:PASSWORD@."""
    scheme, has_scheme, rest = value.partition("://")
    if not has_scheme:
        rest = scheme
        if rest.startswith(("/", ".", "~")):
            return False  # a path
    return bool(_USER.match(_DIGEST.sub("", rest)))


def refuse_password(value: str) -> str:
    """The value, unless it holds a password, which is not repeated.

    Raises:
        ValueError: it does.
    """
    if has_password(value):
        raise ValueError(
            "holds USER:PASSWORD@, which everybody could read in the image and in run directories; "
            "leave it out here, and hand it to the build alone: `hpctrain container build --env "
            "https_proxy` for a proxy, `--host-pip` for an index"
        )
    return value


Address = Annotated[Line, AfterValidator(refuse_password)]
"""A web address without a password."""
