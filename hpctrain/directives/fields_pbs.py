"""What the options of #PBS lines ask for."""

from __future__ import annotations

from hpctrain.directives.fields import (
    Fields,
    Reader,
    as_is,
    count,
    depend,
    memory_mb,
    refuse_unless,
    settled,
    split,
    time,
    variables,
)
from hpctrain.directives.pbs_select import read_chunks
from hpctrain.directives.words import split_outside_quotes


def _mail(value: str) -> Fields:
    names = {"b": "begin", "e": "end", "a": "fail"}
    return {"mail_at": frozenset(names[c] for c in value if c in names)}


def _env(value: str) -> Fields:
    return {"env": variables(split_outside_quotes(value, ","))}


def _place(value: str) -> Fields:
    words = set(value.split(":"))
    if words - {"scatter", "vscatter", "excl", "exclhost", "free"}:
        raise ValueError(value)
    return {"is_exclusive": bool(words & {"excl", "exclhost"})}


def _chunks(value: str, *, is_select: bool) -> Fields:
    fields, rest = read_chunks(value, is_select=is_select)
    if "mem" in rest:
        fields["memory_mb"] = memory_mb(rest.pop("mem"), "b")
    return fields


PBS: dict[str, Reader] = {
    **{"-N": as_is("name"), "-A": as_is("account"), "-q": as_is("queue"), "-o": as_is("output")},
    **{"-e": as_is("error"), "-J": as_is("array"), "-M": as_is("mail_to"), "-m": _mail},
    **{"-V": settled(has_whole_env=True), "-v": _env, "-h": settled(is_held=True)},
    "-j": lambda value: {"is_joined": value in ("oe", "eo")},
    "-r": lambda value: {"is_rerunnable": value == "y"},
    "-k": lambda value: refuse_unless("d" in value),
    "-l walltime": time("pbs"),
    "-l filesystems": split("filesystems", ":"),
    "-l place": _place,
    "-W depend": depend,
    "-l select": lambda value: _chunks(value, is_select=True),
    "-l nodes": lambda value: _chunks(value, is_select=False),
    **{"-l ncpus": count("cpus_per_node"), "-l ngpus": count("gpus_per_node")},
    "-l mem": lambda value: {"memory_mb": memory_mb(value, "b")},
}
