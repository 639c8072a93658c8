"""What the options of #COBALT lines ask for."""

from __future__ import annotations

import re

from hpctrain.directives.fields import (
    Fields,
    Reader,
    as_is,
    refuse_unless,
    settled,
    time,
)
from hpctrain.directives.model import Dependency


def _attrs(value: str) -> Fields:
    attrs = dict((key, given) for key, _, given in (a.partition("=") for a in value.split(":")))
    if set(attrs) != {"filesystems"}:
        raise ValueError(value)
    return {"filesystems": tuple(attrs["filesystems"].split(","))}


def _env(value: str) -> Fields:
    pairs = (part.partition("=") for part in re.split(r"(?<!\\):(?=\w+=)", value))
    return {"env": tuple((name, given.replace("\\", "")) for name, _, given in pairs)}


def _nodes(value: str) -> Fields:
    # read as C reads integers: 010 is eight
    return {"nodes": int(value, 8 if re.fullmatch(r"0\d+", value) else 0)}


def _prefix(value: str) -> Fields:
    return {"output": f"{value}.output", "error": f"{value}.error"}


COBALT: dict[str, Reader] = {
    **{"--jobname": as_is("name"), "--project": as_is("account"), "--queue": as_is("queue")},
    **{"--output": as_is("output"), "--error": as_is("error")},
    "--notify": lambda value: {"mail_to": value, "mail_at": frozenset({"begin", "end"})},
    **{"--nodecount": _nodes, "--time": time("cobalt"), "--cwd": as_is("workdir")},
    **{"--attrs": _attrs, "--env": _env, "--held": settled(is_held=True)},
    "--outputprefix": _prefix,
    "--mode": lambda value: refuse_unless(value == "script"),
    "--dependencies": lambda value: {
        "dependencies": (Dependency("afterok", tuple(value.split(":"))),)
    },
}
