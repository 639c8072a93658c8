"""Job and site files to schemas.

Precedence: schema default < `defaults` of the site < job file < `--set key.path=value`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpctrain.config.document import Document, parse, read_document
from hpctrain.config.job import Job
from hpctrain.config.layers import Layers
from hpctrain.config.paths import find_shared, shared_dirs
from hpctrain.config.site import Site
from hpctrain.config.words import nearest
from hpctrain.errors import ConfigError

AUTO = "auto"


@dataclass(frozen=True)
class Draft:
    """A job file and its `--set` values, read but not yet checked against the schema."""

    document: Document
    overrides: tuple[Document, ...]

    @property
    def site(self) -> str:
        """Site as the user named it; `auto` where nothing usable stands."""
        for document in (*reversed(self.overrides), self.document):
            value = document.value.get("site")
            if isinstance(value, str):
                return value
        return AUTO


@dataclass(frozen=True)
class Resolved:
    """A checked job, its site as the job's queue sees it, and where each value came from."""

    job: Job
    site: Site
    layers: Layers


def find_job(name: str, cwd: Path) -> Path:
    """A job file by path or bare name: as it stands, then in jobs/, with or without .yaml.

    Raises:
        ConfigError: there is none; lists the places that were looked at.
    """
    given = Path(name)
    if not given.name:
        raise ConfigError(f"job: found {name!r}; allowed: a job file, or its name in jobs/")
    names = (
        [given] if given.suffix in (".yaml", ".yml") else [given.with_name(given.name + ".yaml")]
    )
    tried = names if given.is_absolute() else [*names, *(Path("jobs") / n for n in names)]
    for path in tried:
        if (cwd / path).is_file():
            return path
    if (cwd / given).is_dir():
        raise ConfigError(f"{name}: is a folder, and no job file; give the YAML file of the job")
    if find_shared("jobs", tried[0].name):
        hint = f"; `hpctrain init {given.stem}` writes the shipped example"
    else:
        folders = {cwd / path.parent for path in tried}
        hint = nearest(given.stem, sorted({p.stem for f in folders for p in f.glob("*.y*ml")}))
    raise ConfigError(
        f"{name}: no such job file; looked for {' and '.join(str(p) for p in tried)}{hint}"
    )


def read_job(path: Path, overrides: Sequence[str] = (), cwd: Path | None = None) -> Draft:
    """Read a job file and `--set` values.

    Args:
        path: the job file; shown in messages as it is given.
        overrides: texts `key.path=value`, the value in YAML.
        cwd: folder that a relative path starts from.
    """
    document = read_document((cwd or Path()) / path, where=str(path))
    return Draft(document, tuple(_override(text) for text in overrides))


def _override(text: str) -> Document:
    key, equals, value_text = text.partition("=")
    parts = key.split(".")
    where = f"--set {text}"
    if not equals or not all(parts):
        raise ConfigError(f"{where}: allowed: --set key.path=value, such as --set train.epochs=10")
    # No quotes survive the shell, so here a walltime needs none.
    if re.fullmatch(r"\d+:\d\d:\d\d", value_text):
        value_text = f'"{value_text}"'
    parsed = parse(value_text, where)
    value: Any = parsed.value
    for part in reversed(parts):
        value = {part: value}
    return Document(
        where,
        value,
        texts={(*parts, *key): written for key, written in parsed.texts.items()},
        problems={(*parts, *key): (0, text) for key, (_, text) in parsed.problems.items()},
    )


def resolve(draft: Draft, site_name: str) -> Resolved:
    """Check a job together with its site.

    Args:
        draft: what `read_job` returned.
        site_name: name or file of the site; where the job says `auto`, the one that was detected.

    Raises:
        ConfigError: everything wrong in the site, or everything wrong in the job.
    """
    site, site_document = read_site(site_name)
    layers = Layers()
    if site_document.value.get("defaults"):
        layers.add(site_document, at=("defaults",))
    layers.add(draft.document)
    for document in draft.overrides:
        layers.add(document)
    if site.name != draft.site:
        origin = "detected on this host" if draft.site == AUTO else draft.site
        layers.add(Document(origin, {"site": site.name}))
    job = layers.validate(Job)
    return Resolved(job, site.for_queue(job.resources.queue), layers)


def read_site(name: str) -> tuple[Site, Document]:
    """A site by name (user's, checkout's, package's templates/sites) or by path of a YAML file.

    Raises:
        ConfigError: unknown, or wrong.
    """
    if name.endswith((".yaml", ".yml")):
        path: Path | None = Path(name)
    else:
        path = find_shared("templates", f"sites/{name}.yaml")
    if path is None:
        raise ConfigError(
            f"site: unknown site {name!r}; choose from {', '.join(site_names())}, or give a YAML "
            f"file (`hpctrain site new NAME` begins one){nearest(name, site_names())}"
        )
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "no such site file"
        raise ConfigError(f"{path}: {what}; give a site's YAML file, or a name of `site list`")
    document = read_document(path)
    layers = Layers()
    layers.add(document)
    return layers.validate(Site), document


def site_names() -> list[str]:
    """All sites that can be named."""
    found = (p.stem for d in shared_dirs("templates") for p in (d / "sites").glob("*.yaml"))
    return sorted(set(found))


def read_resolved(path: Path) -> Job:
    """The resolved configuration of a run directory (config.yaml), as the trainer reads it.

    Raises:
        ConfigError: the file is missing or was edited into something wrong.
    """
    layers = Layers()
    layers.add(read_document(path))
    return layers.validate(Job)
