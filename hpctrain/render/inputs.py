"""What a run directory is made of beside job and site; collected before the pure rendering."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from hpctrain.index.beside import Beside


@dataclass(frozen=True)
class CodeTree:
    """The code that will run.

    Attributes:
        files: content by path below code/, such as `hpctrain/errors.py`.
        revision: git revision of the package's checkout; None without one.
        diff: what the checkout's package differs from that revision by; empty if nothing.
    """

    files: Mapping[str, bytes]
    revision: str | None = None
    diff: bytes = b""

    @property
    def has_user_code(self) -> bool:
        """Whether folders of the user came along."""
        return any(path.startswith("user/") for path in self.files)

    @cached_property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each file, by path; of all points of a sweep computed once."""
        return {path: digest(self.files[path]) for path in sorted(self.files)}

    @cached_property
    def digest(self) -> str:
        """SHA-256 over paths and contents."""
        lines = (f"{own}  {path}\n" for path, own in self.digests.items())
        return digest("".join(lines).encode())

    def source_json(self, version: str) -> str:
        """code/SOURCE.json: what this code is and where it is from."""
        page = {
            "version": version,
            "digest": self.digest,
            "files": len(self.files),
            "git_revision": self.revision,
            "dirty": bool(self.diff),
        }
        return json.dumps(page, indent=1) + "\n"


@dataclass(frozen=True)
class Inputs:
    """Everything that rendering would otherwise have to look up.

    Attributes:
        run_dir: absolute path of the run directory.
        cwd: folder that relative paths of the job start from.
        python: interpreter on the compute nodes, where the job names none; its folder goes into
            PATH.
        version: of hpctrain.
        code: the code that will run.
        index_csv: the index of the input files.
        index_json: its page about the whole.
        beside: what the manifest says of files that decide the training and are not in the index.
        container_files: files that the container's definition copies, by path in the run directory.
        is_slot: whether the run shares a job with others, each on nodes of its own.
        macros_place: where the job file says, or could say, `macros:`; for messages only.
    """

    run_dir: str
    cwd: str
    python: str
    version: str
    code: CodeTree
    index_csv: str
    index_json: str
    beside: Mapping[str, Beside] = field(default_factory=dict)
    container_files: Mapping[str, bytes] = field(default_factory=dict)
    is_slot: bool = False
    macros_place: str = ""


def digest(content: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()
