"""Schemas back to YAML text, in the order of their fields."""

from __future__ import annotations

import re
from typing import Any

import yaml
from pydantic import BaseModel


class _Dumper(yaml.SafeDumper):
    """Short lists in one line, walltimes always quoted."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = '"' if re.fullmatch(r"\d+:\d\d:\d\d", value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _list(dumper: yaml.SafeDumper, value: list[Any]) -> yaml.SequenceNode:
    short = all(not isinstance(item, dict | list) for item in value) and len(str(value)) < 72
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=short)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(list, _list)


def yaml_text(model: BaseModel | dict[str, Any], heading: str = "") -> str:
    """A schema's values, defaults too, as YAML that reads back to the same."""
    values = model.model_dump(mode="json") if isinstance(model, BaseModel) else model
    body = yaml.dump(
        values,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=100,
        default_flow_style=False,
    )
    return f"# {heading}\n{body}" if heading else body
