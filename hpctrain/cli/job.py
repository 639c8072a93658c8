"""What several sub-commands share: find a job, its site, and the resolved values."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hpctrain.config.load import Draft, Resolved
    from hpctrain.config.site import Site

JobName = Annotated[str, typer.Argument(metavar="JOB", help="Job file, or its name in jobs/.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a value, such as train.epochs=3."),
]
SiteName = Annotated[
    str | None, typer.Option("--site", help="Machine: a name, or a YAML file (as --set site=...).")
]


def load(
    name: str,
    overrides: Sequence[str] = (),
    site: str | None = None,
    as_name: str | None = None,
) -> Resolved:
    """Read, detect, resolve; `as_name` is the run's name where it is not the job's."""
    from hpctrain.config.load import AUTO, find_job, read_job, resolve

    cwd = Path.cwd()
    words = [*overrides, *([f"site={json.dumps(site)}"] if site is not None else [])]
    words += [f"name={json.dumps(as_name)}"] if as_name is not None else []
    draft = read_job(find_job(name, cwd), words, cwd)
    if as_name is not None:  # messages name the option that the user gave
        *others, last = draft.overrides
        last = replace(last, where=f"--as {json.dumps(as_name)}")
        draft = replace(draft, overrides=(*others, last))
    draft = _with_root(draft, cwd)
    return resolve(draft, this_site() if draft.site == AUTO else draft.site)


def _with_root(draft: Draft, cwd: Path) -> Draft:
    """Let `data.root` be that of `data.index`, where nobody gives another."""
    from hpctrain.config.document import Document
    from hpctrain.index.store import load_page

    data: dict[str, object] = {}
    for document in (draft.document, *draft.overrides):
        block = document.value.get("data")
        data |= block if isinstance(block, dict) else {}
    if not isinstance(data.get("index"), str) or "root" in data:
        return draft
    page = load_page(cwd / Path(str(data["index"])).expanduser())
    if page is None or not isinstance(page.get("root"), str):
        return draft  # the build of the index says what is wrong with it
    own = Document(str(data["index"]), {"data": {"root": page["root"]}})
    return replace(draft, overrides=(own, *draft.overrides))


def site_named(name: str | None) -> Site:
    """The site of `--site`; left out or `auto`, that of this host."""
    from hpctrain.config.load import AUTO, read_site

    return read_site(this_site() if name is None or name == AUTO else name)[0]


def this_site() -> str:
    """The site that this host belongs to."""
    from hpctrain.config.load import read_site, site_names
    from hpctrain.doctor.place import find_allocation
    from hpctrain.schedulers import detect_site

    job = find_allocation()
    sites = (read_site(name)[0] for name in site_names())
    names = [socket.gethostname(), socket.getfqdn()]
    return detect_site(names, sites, shutil.which, job.scheduler if job else "")
