"""The pure function at the heart of `render`: same job, site and inputs give the same bytes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from hpctrain.config.binds import with_source
from hpctrain.config.job import Job
from hpctrain.config.site import Site
from hpctrain.index.beside import record
from hpctrain.render.container import job_definition
from hpctrain.render.image import SCRIPT, needs_script
from hpctrain.render.inputs import Inputs, digest
from hpctrain.render.order import with_parts
from hpctrain.render.script import SCRIPTS, needs_pbs_rsh, rank_script, run_script
from hpctrain.render.shell import fill
from hpctrain.render.yaml_text import yaml_text


@dataclass(frozen=True)
class File:
    """One file of a run directory."""

    content: bytes
    is_executable: bool = False


def render(job: Job, site: Site, inputs: Inputs) -> dict[str, File]:
    """All files of a run directory, by path within it.

    Raises:
        RenderError: a value cannot be written safely, or a template is wrong.
    """
    job = with_parts(with_absolute_paths(job, Path(inputs.cwd)))
    inputs = replace(inputs, python=job.launch.python or inputs.python)
    files = {
        SCRIPTS[site.scheduler]: _script(run_script(job, site, inputs)),
        "rank.sh": _script(rank_script(job, site)),
        "config.yaml": _text(yaml_text(job, "All values of this run, defaults too.")),
        "site.yaml": _text(_site_text(site.model_dump_json())),
        "index.csv": _text(inputs.index_csv),
        "index.json": _text(inputs.index_json),
        "code/SOURCE.json": _text(inputs.code.source_json(inputs.version)),
        "container.def": _text(job_definition(job, site, inputs)),
    }
    if needs_script(job, site):
        files[SCRIPT] = _script(fill("schedulers/image.sh.j2", {}))
    if needs_pbs_rsh(job, site):
        files["pbs_rsh.sh"] = _script(fill("schedulers/pbs_rsh.sh.j2", {}))
    if inputs.code.diff:
        files["code/dirty.diff"] = File(inputs.code.diff)
    files.update({f"code/{path}": File(data) for path, data in inputs.code.files.items()})
    files.update({path: _script(data.decode()) for path, data in inputs.container_files.items()})
    files["manifest.json"] = _text(manifest(files, site, inputs))
    files["state.json"] = _text('{\n "status": "rendered"\n}\n')
    return dict(sorted(files.items()))


@lru_cache(maxsize=4)  # the points of a sweep have one site, and writing YAML is slow
def _site_text(site_json: str) -> str:
    return yaml_text(json.loads(site_json), "The machine profile this run was rendered for.")


def manifest(files: Mapping[str, File], site: Site, inputs: Inputs) -> str:
    """manifest.json: a digest of each file, and what else went in."""
    known = {f"code/{path}": own for path, own in inputs.code.digests.items()}
    page: dict[str, Any] = {
        "version": inputs.version,
        "inputs": {
            "run_dir": inputs.run_dir,
            "python": inputs.python,
            "site": site.name,
            "code_digest": inputs.code.digest,
            "git_revision": inputs.code.revision,
            "dirty": bool(inputs.code.diff),
            "index_digest": digest(inputs.index_csv.encode()),
            **record(inputs.beside),
        },
        "files": {path: known.get(path) or digest(f.content) for path, f in sorted(files.items())},
    }
    return json.dumps(page, indent=1) + "\n"


def with_absolute_paths(job: Job, cwd: Path) -> Job:
    """The job with every path absolute, so that it means the same wherever it is read."""
    data = {"root": _absolute(job.data.root, cwd)}
    if job.data.index is not None:
        data["index"] = _absolute(job.data.index, cwd)
    changes: dict[str, Any] = {
        "data": job.data.model_copy(update=data),
        "code": [_absolute(folder, cwd) for folder in job.code],
    }
    if job.launch.python and "/" in job.launch.python:  # a bare name is looked up in PATH
        python = _absolute(job.launch.python, cwd)
        changes["launch"] = job.launch.model_copy(update={"python": python})
    if job.container:
        binds = [with_source(bind, lambda s: _absolute(s, cwd)) for bind in job.container.binds]
        image = _absolute(job.container.image, cwd)
        changes["container"] = job.container.model_copy(update={"image": image, "binds": binds})
    return job.model_copy(update=changes)


def _absolute(path: str, cwd: Path) -> str:
    return path if "://" in path else str(cwd / os.path.expanduser(path))


def _text(text: str) -> File:
    return File(text.encode())


def _script(text: str) -> File:
    return File(text.encode(), is_executable=True)
