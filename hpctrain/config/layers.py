"""Several documents as one value, each key with the place that gave it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from hpctrain.config.document import Document, Key, dotted
from hpctrain.config.explain import sentence, tag_key, user_key
from hpctrain.config.presets import contradictions, preset_source, with_preset
from hpctrain.errors import ConfigError

M = TypeVar("M", bound=BaseModel)


@dataclass
class Layers:
    """Documents merged into one value; the later one wins."""

    value: dict[str, Any] = field(default_factory=dict)
    documents: list[Document] = field(default_factory=list)
    origins: dict[Key, tuple[int, Key]] = field(default_factory=dict)
    """Key of the merged value to number of the document and key there."""

    def add(self, document: Document, at: Key = ()) -> None:
        """Put a document, or its block `at`, on top; blocks merge, other values are replaced."""
        block = document.value
        for part in at:
            block = block[part]
        self.documents.append(document)
        self._merge(self.value, block, (), at)

    def _merge(self, below: dict[str, Any], above: dict[str, Any], key: Key, at: Key) -> None:
        for name, new in above.items():
            inner = (*key, name)
            self.origins[inner] = (len(self.documents) - 1, (*at, *inner))
            if not isinstance(new, dict):
                below[name] = new
                continue
            if not isinstance(below.get(name), dict):
                below[name] = {}
            self._merge(below[name], new, inner, at)

    def locate(self, key: Key) -> tuple[int, Document, Key]:
        """Number of the document that gave a key, or its nearest block; and its key there."""
        for end in range(len(key), 0, -1):
            if key[:end] in self.origins:
                number, own = self.origins[key[:end]]
                return number, self.documents[number], (*own, *key[end:])
        # a key missing at the top belongs to the file, not to a --set that has no lines
        number = max((i for i, d in enumerate(self.documents) if d.lines), default=0)
        return number, self.documents[number], key

    def source(self, key: Key) -> str:
        """Who gave the single value or list at `key`: a place, a preset, or `default`."""
        preset = preset_source(self.value, key, self._level)
        if preset or key not in self.origins:
            return preset or "default"
        _, document, own = self.locate(key)
        line = document.line(own)
        return f"{document.where}:{line}" if line else document.where

    def validate(self, schema: type[M]) -> M:
        """Check the merged value.

        Raises:
            ConfigError: everything that is wrong, one line each, in order of position.
        """
        faults = self._written_faults()
        known = {fault[0] for fault in faults}
        try:
            # JSON in strict mode: lists may be tuples, but no text is a number and no truth value 1
            text = json.dumps(with_preset(self.value, self._level))
            model = schema.model_validate_json(text, strict=True)
        except ValidationError as e:
            for error in e.errors(include_url=False):
                key = error.get("ctx", {}).get("path") or user_key(error["loc"], self.value)
                key = (*key, *tag_key(error))
                number, document, own = self.locate(key)
                text = sentence(error, key, schema, document.texts.get(own))
                if (number, own) not in known:
                    faults.append(((number, own), key, text))
        else:
            for key, text in contradictions(self.value, self._level):
                number, _, own = self.locate(key)
                faults.append(((number, own), key, text))
            if not faults:
                return model
        raise ConfigError(self._report(faults))

    def _level(self, key: Key) -> int:
        """Layer of a written key: each file is one, and all `--set` are one together."""
        number, _ = self.origins[key]
        return number if self.documents[number].lines else len(self.documents)

    def _written_faults(self) -> list[tuple[tuple[int, Key], Key, str]]:
        return [
            ((number, key), key, text)
            for number, document in enumerate(self.documents)
            for key, (_, text) in document.problems.items()
        ]

    def _report(self, faults: list[tuple[tuple[int, Key], Key, str]]) -> str:
        lines = []
        for (number, own), key, text in faults:
            document = self.documents[number]
            line = document.problems.get(own, (document.line(own), ""))[0]
            place = f"{document.where}:{line}" if line else document.where
            name = f"{dotted(key)}: " if key else ""
            lines.append((number, line, f"{place}: {name}{text}"))
        return "\n".join(dict.fromkeys(text for _, _, text in sorted(lines)))
