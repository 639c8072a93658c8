"""The stamp: what a product says of the run, the code and the data that it was made from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from hpctrain.errors import ProvenanceError

SCHEMA = "hpctrain-provenance/1"
KEY = "hpctrain_provenance"
"""Name of the stamp where a format wants one: an attribute, a PNG keyword, an HTML id."""
MOST_BYTES = 1 << 16
"""A stamp is some 1000 bytes; more is refused, because stamps come with files from elsewhere."""
NO_DIGEST = "0" * 64
"""In place of `content_digest` while the content is hashed, where the stamp is amid the content."""

_ESCAPES = {ord(char): f"\\u{ord(char):04x}" for char in "<>&'\x7f"}


@dataclass(frozen=True)
class Stamp:
    """Where a product is from; what is not known is empty or None.

    Attributes:
        product: what it is: `checkpoint`, `figure`, `evaluation`, `report`, `events`, `embedding`,
            `prediction`.
        version: of the hpctrain that made it.
        run_id: of the run, see `run_id`; empty before the run's first start.
        run_name: name of the run directory.
        run_dir: where that directory was.
        host: on which machine.
        launch_id: start of the training that made it.
        config_digest: sha256 of config.yaml.
        index_digest: sha256 of index.csv.
        code_digest: sha256 over paths and contents of the code that ran.
        git_revision: of the package's checkout; None without one.
        is_dirty: whether the code differs from that revision.
        container_image: path or address of the image; None without one.
        container_digest: sha256 of the image file.
        checkpoint: name of the checkpoint that it was made from; of a checkpoint the one that
            the training went on from.
        checkpoint_digest: `content_digest` of that.
        epoch: epochs that were trained.
        global_step: steps that were trained.
        content_digest: sha256 of the product without its stamp.
        content_size: bytes that were hashed, where that is not the whole file.
    """

    product: str
    version: str = ""
    run_id: str = ""
    run_name: str = ""
    run_dir: str = ""
    host: str = ""
    launch_id: str = ""
    config_digest: str = ""
    index_digest: str = ""
    code_digest: str = ""
    git_revision: str | None = None
    is_dirty: bool | None = None
    container_image: str | None = None
    container_digest: str | None = None
    checkpoint: str | None = None
    checkpoint_digest: str | None = None
    epoch: int | None = None
    global_step: int | None = None
    content_digest: str = ""
    content_size: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """All fields, the schema first."""
        return {"schema": SCHEMA, **asdict(self)}

    @property
    def text(self) -> str:
        """One line of ASCII that JSON, HTML, XML and a byte search all read alike."""
        return json.dumps(self.as_dict(), separators=(",", ":")).translate(_ESCAPES)

    @classmethod
    def from_text(cls, text: str | bytes) -> Stamp:
        """Read `text` again.

        Raises:
            ProvenanceError: it is no stamp, or one of a newer kind.
        """
        try:
            return cls.from_dict(json.loads(text))
        except (ValueError, RecursionError) as e:
            raise ProvenanceError(f"its stamp cannot be read ({e})") from e

    @classmethod
    def from_dict(cls, page: Any) -> Stamp:
        """Read `as_dict` again; fields that this version does not know are left out.

        Raises:
            ProvenanceError: it is no stamp, or one of a newer kind.
        """
        schema = page.get("schema") if isinstance(page, dict) else None
        if schema != SCHEMA:
            known = "written by another hpctrain" if _is_ours(schema) else "not of hpctrain"
            raise ProvenanceError(
                f"its stamp is {known} (schema {str(schema)[:40]!r}; this one reads {SCHEMA!r})"
            )
        values = {f.name: page[f.name] for f in fields(cls) if f.name in page}
        for name, value in values.items():
            is_flag = name in _NUMBERS and isinstance(value, bool)
            if is_flag or not isinstance(value, _types(name)):
                raise ProvenanceError(f"its stamp is damaged ({name} is {str(value)[:40]!r})")
        if "product" not in values:
            raise ProvenanceError("its stamp is damaged (it does not say what the file is)")
        return cls(**values)


_NUMBERS = ("epoch", "global_step", "content_size")
_OPTIONAL = ("git_revision", "container_image", "container_digest", "checkpoint")


def _types(name: str) -> tuple[type, ...]:
    none = type(None)
    if name in _NUMBERS:
        return (int, none)
    if name == "is_dirty":
        return (bool, none)
    return (str, none) if name in (*_OPTIONAL, "checkpoint_digest") else (str,)


def _is_ours(schema: object) -> bool:
    return isinstance(schema, str) and schema.startswith("hpctrain-provenance/")


def attributes(stamp: Stamp) -> dict[str, str]:
    """The stamp as attributes for a writer of NetCDF, HDF5, Zarr or TIFF.

    A writer that puts the text into its file as it is (uncompressed, as all of these do with
    attributes) is all that `read` needs; `seal` then protects the content of NetCDF 3 and TIFF.
    """
    return {KEY: stamp.text}
