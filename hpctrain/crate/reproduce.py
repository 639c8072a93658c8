"""Render the job of a crate again, here, and say what differs."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from hpctrain.config.load import Resolved, read_job, resolve
from hpctrain.crate.beside import FOLDER as BESIDE
from hpctrain.crate.beside import unpacked, with_places
from hpctrain.crate.compare import Difference, Here, differences
from hpctrain.crate.content import DATA
from hpctrain.crate.unpack import Crate
from hpctrain.errors import ConfigError, RenderError
from hpctrain.index.beside import recorded
from hpctrain.render import CodeTree, Inputs, render, write_run
from hpctrain.render.texts import File

_NEEDED = ("config.yaml", "site.yaml", "index.csv", "index.json", "code/SOURCE.json")


@dataclass(frozen=True)
class Options:
    """Where and how the job is to be rendered.

    Attributes:
        out: folder of all run directories.
        as_name: name of the run; None: that of the crate.
        site: name or file of a machine; None: the profile in the crate.
        data_root: folder of the input files; None: in the crate, or where they were.
        overrides: texts `key.path=value`, for what this machine needs, such as an account.
    """

    out: Path
    as_name: str | None = None
    site: str | None = None
    data_root: Path | None = None
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What was done.

    Attributes:
        run_dir: the run directory.
        what: `written`, `unchanged` and the like, see `write_run`.
        differences: what is not as it was, and what is.
    """

    run_dir: Path
    what: str
    differences: tuple[Difference, ...]

    @property
    def is_same(self) -> bool:
        """Whether nothing differs."""
        return all(d.is_same for d in self.differences)


def reproduce(
    path: Path, options: Options, here: Here, tell: Callable[[str], None] = lambda line: None
) -> Outcome:
    """Render the job of a crate as a run directory.

    Args:
        path: the crate, zip file or folder.
        options: where and how.
        here: this machine.
        tell: takes remarks.

    Raises:
        ConfigError: it is no crate of hpctrain, or holds what could do harm.
        RenderError: the run directory cannot be written.
    """
    crate = Crate(path)
    try:
        for name in _NEEDED:
            crate.read(name)
        manifest = crate.page("manifest.json")
        resolved = _resolve(crate, options)
        root = _data_root(crate, options, resolved.job.name, tell)
        if root is not None:
            resolved = _with_root(resolved, root)
        resolved = _with_beside(crate, options, resolved, tell)
        target = options.out / resolved.job.name
        inputs = _inputs(crate, manifest, target, root)
        files = render(resolved.job, resolved.site, inputs)
        what = write_run(files, target)
        again = _as_it_was(crate, manifest, inputs)
        here = replace(here, may_ask=_names_python(options.overrides))
        found = differences(crate, manifest, resolved, files, again, here, tell)
        return Outcome(target, what, tuple(found))
    finally:
        crate.close()


def _resolve(crate: Crate, options: Options) -> Resolved:
    """The job as it was, on its site or another."""
    with tempfile.TemporaryDirectory() as folder:
        job, site = Path(folder, "config.yaml"), Path(folder, "site.yaml")
        job.write_bytes(crate.read("config.yaml"))
        site.write_bytes(crate.read("site.yaml"))
        words = [*options.overrides]
        if options.site is not None:
            words.append(f"site={json.dumps(options.site)}")
        if options.as_name is not None:
            words.append(f"name={json.dumps(options.as_name)}")
        try:
            draft = read_job(job, words)
            return resolve(draft, options.site or str(site))
        except ConfigError as e:
            text = str(e).replace(f"{folder}{os.sep}", f"{crate.path}: ")
            raise ConfigError(text) from e
        except (RecursionError, UnicodeDecodeError) as e:
            raise ConfigError(f"{crate.path}: config.yaml or site.yaml is no job ({e})") from e


def _names_python(overrides: tuple[str, ...]) -> bool:
    """Whether the interpreter was named here; a crate's own is never started."""
    return any(word.partition("=")[0].strip() == "launch.python" for word in overrides)


def _data_root(
    crate: Crate, options: Options, name: str, tell: Callable[[str], None]
) -> Path | None:
    """Where the input files are now; None: where they were."""
    if options.data_root is not None:
        if not options.data_root.is_dir():
            raise ConfigError(f"--data-root: {options.data_root}: no such folder")
        return options.data_root.resolve()
    if not crate.names(f"{DATA}/"):
        return None
    return _unpacked(crate, DATA, options.out.resolve() / f"{name}-data", tell)


def _unpacked(crate: Crate, folder: str, target: Path, tell: Callable[[str], None]) -> Path:
    """Copy a folder of the crate to `target`, unless that is there."""
    if target.exists():
        tell(f"note: {target}: is there already; its files are compared with the crate's digests")
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        try:
            count = crate.extract(f"{folder}/", part / folder)
            (part / folder).rename(target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as e:
        raise RenderError(f"{target}: cannot be written ({e.strerror})") from e
    tell(f"{target}: {count} input file{'' if count == 1 else 's'} unpacked")
    return target


def _with_beside(
    crate: Crate, options: Options, resolved: Resolved, tell: Callable[[str], None]
) -> Resolved:
    """The job with the crate's own files in the place of those that lay outside of its data."""
    given = {word.partition("=")[0].strip() for word in options.overrides}
    wanted = {key: name for key, name in unpacked(crate).items() if key not in given}
    if not wanted:
        return resolved
    target = options.out.resolve() / f"{resolved.job.name}-{BESIDE}"
    _unpacked(crate, BESIDE, target, tell)
    places = {key: str(target / name[len(BESIDE) + 1 :]) for key, name in wanted.items()}
    return replace(resolved, job=with_places(resolved.job, places))


def _with_root(resolved: Resolved, root: Path) -> Resolved:
    job = resolved.job
    data = job.data.model_copy(update={"root": str(root)})
    return replace(resolved, job=job.model_copy(update={"data": data}))


def _inputs(crate: Crate, manifest: dict[str, Any], target: Path, root: Path | None) -> Inputs:
    """What rendering takes beside job and site: code and index of the crate, paths of here."""
    import sys

    index_json = crate.text("index.json")
    if root is not None:
        page = crate.page("index.json")
        index_json = json.dumps({**page, "root": str(root)}, indent=1) + "\n"
    source = crate.page("code/SOURCE.json")
    version = str(manifest.get("version") or "")
    if not version.isprintable():
        raise ConfigError(
            f"{crate.path}: manifest.json: version {version!r} has control characters; this is no "
            "crate that hpctrain wrote"
        )
    return Inputs(
        run_dir=str(target.parent.resolve() / target.name),
        cwd=str(Path.cwd()),
        python=os.path.abspath(sys.executable),
        version=version,
        code=_code(crate, source),
        index_csv=crate.text("index.csv"),
        index_json=index_json,
        beside=recorded(manifest),
        container_files={
            name: crate.text(name).encode()
            for name in crate.names("code/")
            if name.count("/") == 1 and name not in ("code/SOURCE.json", "code/dirty.diff")
        },
    )


def _code(crate: Crate, source: dict[str, Any]) -> CodeTree:
    files = {
        name.removeprefix("code/"): crate.read(name)
        for lead in ("code/hpctrain/", "code/user/")
        for name in crate.names(lead)
    }
    has_diff = "code/dirty.diff" in crate.names("code/dirty.diff")
    revision = source.get("git_revision")
    return CodeTree(
        files,
        revision if isinstance(revision, str) else None,
        crate.read("code/dirty.diff") if has_diff else b"",
    )


def _as_it_was(crate: Crate, manifest: dict[str, Any], inputs: Inputs) -> dict[str, File] | None:
    """Rendered for the machine and place of the crate, which must give the crate's own files."""
    was = manifest.get("inputs")
    if not isinstance(was, dict) or not all(
        isinstance(was.get(k), str) for k in ("run_dir", "python")
    ):
        return None
    old = replace(
        inputs,
        run_dir=was["run_dir"],
        python=was["python"],
        index_json=crate.text("index.json"),
    )
    try:
        resolved = _resolve(crate, Options(Path()))
        return render(resolved.job, resolved.site, old)
    except (ConfigError, RenderError, yaml.YAMLError):
        return None
