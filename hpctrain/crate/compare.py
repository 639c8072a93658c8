"""What differs between the machine of a crate and this one."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from hpctrain.config.load import Resolved
from hpctrain.crate.beside import unpacked
from hpctrain.crate.unpack import Crate
from hpctrain.errors import DataError
from hpctrain.preflight.ask import SilentError, ask
from hpctrain.provenance.digest import digest_of
from hpctrain.provenance.run import launches_of
from hpctrain.render.inputs import CodeTree
from hpctrain.render.texts import File
from hpctrain.trace.beside import BesideFile, files_beside_index
from hpctrain.trace.inputs import differences as input_differences
from hpctrain.trace.inputs import read_inputs

_PACKAGES = ("torch", "numpy", "horovod", "mpi4py")
_PROBE = f"""
import json, platform
from importlib.metadata import version, PackageNotFoundError
found = {{}}
for name in {_PACKAGES}:
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        pass
print(json.dumps({{"python": platform.python_version(), **found}}))
"""
_MOST = 10


@dataclass(frozen=True)
class Here:
    """This machine.

    Attributes:
        site: name of the site that this host belongs to.
        code: the hpctrain that is installed here.
        may_ask: whether another interpreter than this one may be started: its user named it.
    """

    site: str
    code: CodeTree
    may_ask: bool = False


@dataclass(frozen=True)
class Difference:
    """One thing that was compared.

    Attributes:
        what: such as `torch`.
        was: in the crate.
        now: here.
        is_same: whether they are alike.
        details: further lines.
    """

    what: str
    was: str
    now: str
    is_same: bool
    details: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """All fields."""
        return {**asdict(self), "details": list(self.details)}


def differences(
    crate: Crate,
    manifest: Mapping[str, Any],
    resolved: Resolved,
    files: Mapping[str, File],
    again: Mapping[str, File] | None,
    here: Here,
    tell: Callable[[str], None],
) -> Iterator[Difference]:
    """Everything that was compared, alike or not.

    Args:
        crate: the crate.
        manifest: of the crate.
        resolved: the job as it was rendered here.
        files: what was rendered here.
        again: what is rendered here for the crate's own machine and place.
        here: this machine.
        tell: is told before much is read.
    """
    altered = crate.altered()
    yield Difference(
        "crate",
        "as it was exported",
        f"{len(altered)} files altered" if altered else "as it was exported",
        not altered,
        tuple(altered[:_MOST]),
    )
    yield _edited(crate)
    yield _configuration(crate, files)
    yield _rendering(manifest, again)
    yield from _origin(crate, manifest)
    yield from _code(crate, manifest, here)
    was = _site_of(crate)
    yield _site(was, resolved, here)
    launches = launches_of(manifest)
    if launches:
        yield from _versions(launches[-1], resolved, files, here)
        yield from _device(launches[-1], resolved)
    yield from _container(launches[-1] if launches else {}, resolved)
    yield _input_files(files, tell)
    for file in files_beside_index(files["config.yaml"].content, manifest):
        yield _beside(file)


def _site(was: str, resolved: Resolved, here: Here) -> Difference:
    """The profile it was rendered for, and this host; one without a scheduler fits any host."""
    site = resolved.site
    now = site.name if site.scheduler == "local" else here.site
    details: tuple[str, ...] = ()
    if site.name != now:
        details = (f"the run is rendered for {site.name}; render it for here with --site {now}",)
    return Difference("site", was, now, was == site.name == now, details)


def _same(what: str, was: str, now: str, is_same: bool | None = None) -> Difference:
    return Difference(what, was, now, was == now if is_same is None else is_same)


def _configuration(crate: Crate, files: Mapping[str, File]) -> Difference:
    """Values of config.yaml that are others; where the data lie and the run's name are no such."""
    was, now = (
        _flat(yaml.safe_load(c)) for c in (crate.read("config.yaml"), files["config.yaml"].content)
    )
    ignored = ("name", "data.root", *unpacked(crate))
    changed = [k for k in sorted({*was, *now} - {*ignored}) if was.get(k) != now.get(k)]
    details = tuple(f"{key}: was {was.get(key)!r}, now {now.get(key)!r}" for key in changed[:_MOST])
    count = f"{len(changed)} values differ" if changed else f"{len(now)} values"
    return Difference("configuration", f"{len(was)} values", count, not changed, details)


def _flat(value: Any, lead: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {lead: value}
    return {
        key: own
        for name, part in value.items()
        for key, own in _flat(part, f"{lead}.{name}" if lead else str(name)).items()
    }


def _rendering(manifest: Mapping[str, Any], again: Mapping[str, File] | None) -> Difference:
    """Whether this hpctrain, told the crate's own paths, writes the crate's own files."""
    from hpctrain.render.inputs import digest

    recorded = manifest.get("files")
    if again is None or not isinstance(recorded, dict):
        return Difference("rendering", "the crate's files", "cannot be made again", False)
    others = [
        name
        for name, known in sorted(recorded.items())
        if not name.startswith("code/")
        and (name not in again or digest(again[name].content) != known)
    ]
    now = f"another {', '.join(others)}" if others else "the same files, for its own place"
    return Difference("rendering", f"{len(recorded)} files", now, not others)


def _edited(crate: Crate) -> Difference:
    """Whether the run that was exported had the files that were rendered."""
    edited = crate.edited()
    now = f"edited by hand: {', '.join(edited)}" if edited else "as they were rendered"
    details = (f"they are in {crate.path.name}, and not in the run here",) if edited else ()
    return Difference("its own files", "as they were rendered", now, not edited, details)


def _origin(crate: Crate, manifest: Mapping[str, Any]) -> Iterator[Difference]:
    """The checkpoint of another run that this one began with; the run here does not."""
    origin = manifest.get("resumed_from")
    if not isinstance(origin, dict):
        return
    was = f"{origin.get('checkpoint')} of {origin.get('run')}"
    name = f"checkpoints/{origin.get('checkpoint')}"
    place = f"is in the crate as {name}" if crate.names(name) else "is not in the crate"
    details = ("render with --resume-from RUN to begin with it",)
    yield Difference("beginning", was, f"began with {was}, which {place}", False, details)


def _code(crate: Crate, manifest: Mapping[str, Any], here: Here) -> Iterator[Difference]:
    """The package in the crate, which will run, and the one that is installed here."""
    lead = "code/"
    inputs = manifest.get("inputs")
    recorded = inputs.get("code_digest") if isinstance(inputs, dict) else None
    tops = ("code/hpctrain/", "code/user/")
    whole = CodeTree({n[len(lead) :]: crate.read(n) for top in tops for n in crate.names(top)})
    yield _same("its code", str(recorded)[:16], whole.digest[:16])
    package = {n.removeprefix(lead): crate.read(n) for n in crate.names("code/hpctrain/")}
    own = {n: c for n, c in here.code.files.items() if n.startswith("hpctrain/")}
    was, now = CodeTree(package).digest, CodeTree(own).digest
    changed = [n for n in sorted({*package, *own}) if package.get(n) != own.get(n)]
    details = tuple(changed[:_MOST]) + (
        (f"and {len(changed) - _MOST} more",) if len(changed) > _MOST else ()
    )
    if changed:
        details = ("the run takes the crate's code; these differ here:", *details)
    yield Difference("hpctrain", was[:16], now[:16], was == now, details)


def _site_of(crate: Crate) -> str:
    try:
        page = yaml.safe_load(crate.read("site.yaml"))
    except (yaml.YAMLError, ValueError, RecursionError):
        page = None
    return str(page.get("name")) if isinstance(page, dict) else "unknown"


def _versions(
    launch: Mapping[str, Any], resolved: Resolved, files: Mapping[str, File], here: Here
) -> Iterator[Difference]:
    """Versions of the last launch, and those of the interpreter that the job names."""
    packages = launch.get("packages")
    was = {"python": launch.get("python"), "torch": launch.get("torch")}
    was.update(packages if isinstance(packages, dict) else {})
    if resolved.job.container is not None:
        return  # the image brings its own
    python = json.loads(files["manifest.json"].content)["inputs"]["python"]
    if python == os.path.abspath(sys.executable):
        found: dict[str, str] | None = _own_versions()
    elif here.may_ask:
        found = _asked_versions(python)
    else:
        text = f"{python} is not asked: named by the crate"
        details = ("the run starts it; name one of here with --set launch.python=PATH",)
        yield Difference("python", str(was["python"]), text, False, details)
        return
    if found is None:
        yield Difference("python", str(was["python"]), f"{python} cannot be asked", False)
        return
    for name in ("python", *_PACKAGES):
        old, new = was.get(name), found.get(name)
        if old or (new and name not in ("horovod", "mpi4py")):
            yield _same(name, str(old or "none"), str(new or "none"))


def _own_versions() -> dict[str, str]:
    """Of this interpreter; no other is started."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _asked_versions(python: str) -> dict[str, str] | None:
    """Of an interpreter that the user named; nothing of the working directory is imported."""
    try:
        answer = ask([python, "-c", _PROBE], cwd="/" if os.path.isabs(python) else None)
        found = json.loads(answer.out) if answer is not None and not answer.code else None
    except (SilentError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _device(launch: Mapping[str, Any], resolved: Resolved) -> Iterator[Difference]:
    was = str(launch.get("device") or "unknown")
    now = "cpu"
    if resolved.job.resources.gpus_per_rank:
        now = _gpu() or "no GPU on this host (a login node has none)"
    yield _same("device", was, now)
    if launch.get("mpi"):
        yield _same("MPI", str(launch["mpi"]), "known when the job runs", True)


def _gpu() -> str:
    try:
        answer = ask(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"])
    except SilentError:
        return ""
    lines = answer.out.splitlines() if answer is not None and not answer.code else []
    return lines[0].strip() if lines else ""


def _container(launch: Mapping[str, Any], resolved: Resolved) -> Iterator[Difference]:
    container = resolved.job.container
    facts = launch.get("container")
    facts = facts if isinstance(facts, dict) else {}
    if container is None:
        if facts:
            text = "none is asked for; the run was in one all the same"
            yield Difference("container", str(facts.get("image")), text, False)
        return
    image, recorded = container.image, str(facts.get("sha256") or "")
    if "://" in image:
        yield Difference("container", image, "is fetched when the job starts", True)
    elif not Path(image).is_file():
        yield Difference("container", image, "is not here", False)
    elif not recorded:
        yield Difference("container", image, "is here; its digest was not taken then", True)
    else:
        yield _same("container", f"sha256 {recorded[:16]}", f"sha256 {digest_of(Path(image))[:16]}")


def _beside(file: BesideFile) -> Difference:
    """A file that decides the training and is not in the index."""
    if file.size is None:
        return Difference(file.key, "of unknown content", f"{file.path}", False)
    was = f"sha256 {file.sha256[:16]}"
    details: tuple[str, ...] = ()
    if not file.difference:
        return Difference(file.key, was, f"{was} in {file.path}", True)
    if not Path(file.name).is_absolute():
        details = ("name the folder of the data, in which it is, with --data-root",)
    elif file.difference.startswith("missing"):
        details = (f"name its place here with --set {file.key}=PATH",)
    return Difference(file.key, was, f"{file.path}: {file.difference}", False, details)


def _input_files(files: Mapping[str, File], tell: Callable[[str], None]) -> Difference:
    try:
        texts = [files[name].content.decode() for name in ("index.csv", "index.json")]
        inputs = read_inputs(texts[0], texts[1])
    except DataError as e:
        return Difference("inputs", "an index", str(e), False)
    was = f"{len(inputs.files)} files"
    found = input_differences(inputs, False, tell)
    if not found:
        return Difference("inputs", was, f"{was} in {inputs.root}", True)
    missing = sum(what.startswith("missing") for _, what in found)
    details = tuple(f"{what}: {name}" for name, what in found[:_MOST])
    if len(found) > _MOST:
        details += (f"and {len(found) - _MOST} more",)
    if missing == len(inputs.files):
        details = ("name the folder that they are in with --data-root",)
    now = f"{missing} missing and {len(found) - missing} changed in {inputs.root}"
    return Difference("inputs", was, now, False, details)
