"""Build an image layer by layer, so that a build that failed goes on where it did."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hpctrain.container.cache import Cache
from hpctrain.container.engine import Engine
from hpctrain.container.inputs import digest_of_inputs
from hpctrain.container.kept import note_use, survey, totals
from hpctrain.container.layers import Layer, split
from hpctrain.container.room import GB, needs, refuse_small
from hpctrain.errors import ImageError

_TAIL = 15
_PATIENCE_S = 10
_WAY_OUT = "`hpctrain container prune` removes what was not used for long"


@dataclass(frozen=True)
class Plan:
    """What is to be built, with what and where.

    Attributes:
        text: the definition.
        folder: where its relative paths start.
        image: file that is written.
        engine: what builds.
        cache: where layers are kept.
        tmp: folder for the unpacked system.
        binds: SOURCE[:TARGET] of this machine, there while it is built.
        env: variables while it is built.
        sizes: GB by layer, see `room.needs`.
        is_forced: build all layers again.
        say: where progress goes.
    """

    text: str
    folder: Path
    image: Path
    engine: Engine
    cache: Cache
    tmp: Path
    sizes: Mapping[str, float]
    say: Callable[[str], None]
    binds: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    is_forced: bool = False


def build(plan: Plan) -> None:
    """Build what is missing, test the image and put it in its place.

    Raises:
        ImageError: there is no room, a step failed, or the test did.
    """
    layers = split(plan.text, digest_of_inputs(plan.text, plan.folder, plan.binds, plan.env))
    with plan.cache.used([layer.digest for layer in layers]):
        _build(plan, layers)
    plan.say(f"{plan.cache.folder} keeps {totals(survey(plan.cache))}; {_WAY_OUT}")


def _build(plan: Plan, layers: Sequence[Layer]) -> None:
    missing = layers if plan.is_forced else _missing(plan.cache, layers)
    _announce(plan, layers, missing)
    below: Path | None = None
    for layer in layers:
        below = _layer(plan, layer, below, layer in missing, layer is layers[-1])
    if below is None:
        raise ImageError("the definition has nothing to build")
    _test(plan, below)
    part = plan.image.with_name(f"{plan.image.name}.part{os.getpid()}")
    try:
        plan.image.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(below, part)
        os.replace(part, plan.image)
    except OSError as e:
        raise ImageError(f"{plan.image}: cannot be written: {e.strerror}") from e
    finally:
        part.unlink(missing_ok=True)


def _missing(cache: Cache, layers: Sequence[Layer]) -> list[Layer]:
    """Layers above the highest that is in the cache."""
    for i in range(len(layers), 0, -1):
        if cache.image(layers[i - 1].digest).exists():
            return list(layers[i:])
    return list(layers)


def _announce(plan: Plan, layers: Sequence[Layer], missing: Sequence[Layer]) -> None:
    kept = len(layers) - len(missing)
    names = ", ".join(layer.name for layer in missing) or "nothing"
    plan.say(f"{plan.image}: {kept} of {len(layers)} layers are in the cache; to build: {names}")
    places = {"cache": plan.cache.folder, "tmp": plan.tmp, "image": plan.image.parent}
    wanted = needs(plan.sizes, [layer.name for layer in missing], places)
    for need in wanted:
        if need.size_gb:
            plan.say(f"needs {need.size_gb:.1f} GB in {need.folder} ({need.what})")
    refuse_small(wanted)


def _layer(
    plan: Plan, layer: Layer, below: Path | None, is_missing: bool, is_last: bool
) -> Path | None:
    """The image of a layer, built where it has to be."""
    image = plan.cache.image(layer.digest)
    if not is_missing:
        if image.exists():  # a lower one may have been removed; nobody needs it
            note_use(plan.cache, layer.digest, layer.name, plan.image)
        return image
    said = f"layer {layer.name}: another build is at work on it; waiting"
    with plan.cache.locked(layer.digest, lambda: plan.say(said)):
        note_use(plan.cache, layer.digest, layer.name, plan.image)
        if image.exists() and not plan.is_forced:
            return image
        plan.say(
            f"layer {layer.name}: building; what it prints goes to {plan.cache.log(layer.digest)}"
        )
        began = time.monotonic()
        part = image.with_name(f"{layer.digest}.part{os.getpid()}.sif")
        try:
            _run_build(plan, layer, below, part, is_last)
            os.replace(part, image)
        finally:
            part.unlink(missing_ok=True)
    size, seconds = image.stat().st_size / GB, time.monotonic() - began
    plan.say(f"layer {layer.name}: built in {seconds:.0f} s, {size:.2f} GB")
    return image


def _run_build(plan: Plan, layer: Layer, below: Path | None, part: Path, is_last: bool) -> None:
    log = plan.cache.log(layer.digest)
    with _folder(plan.tmp) as folder:
        definition = Path(folder) / f"{layer.name}.def"
        definition.write_text(layer.text(below, [_mount_point(bind) for bind in plan.binds]))
        words = plan.engine.build(part, definition, list(plan.binds), is_last)
        env = {**os.environ, f"{plan.engine.prefix}_TMPDIR": folder}
        env |= {f"{plan.engine.prefix}ENV_{name}": value for name, value in plan.env.items()}
        with log.open("wb") as file:
            code = _wait(words, plan.folder, env, file.fileno())
    if code:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-_TAIL:])
        raise ImageError(
            f"layer {layer.name}: {words[0]} build ended with exit code {code}; its last words:\n"
            f"{tail}\nall of them: {log}\nthe layers before are kept; the same command goes on here"
        )


@contextlib.contextmanager
def _folder(tmp: Path) -> Iterator[str]:
    """A folder to unpack in; whoever owns what is left there at the end."""
    tmp.mkdir(parents=True, exist_ok=True)
    folder = tempfile.mkdtemp(prefix="hpctrain-image-", dir=tmp)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if os.path.exists(folder):
            # an engine that was killed leaves files of users that only its namespace knows
            words = ["unshare", "--user", "--map-root-user", "--map-auto", "rm", "-rf", folder]
            subprocess.run(words, capture_output=True, check=False)


def _wait(words: Sequence[str], folder: Path, env: Mapping[str, str], log: int) -> int:
    """Run in a process group of its own, which ends with this process' interruption."""
    process = subprocess.Popen(
        words,
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        return process.wait()
    except BaseException:
        # the engine removes what it has unpacked, which may belong to users of its namespace
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        raise


def _mount_point(bind: str) -> str:
    """Where a bind is in the image; with a slash at its end where that is a folder."""
    source, _, rest = bind.partition(":")
    target = rest.partition(":")[0] or source
    return f"{target}/" if os.path.isdir(source) else target


def _test(plan: Plan, image: Path) -> None:
    """The definition's %test, in the image as it will be used."""
    plan.say("testing: what the definition's %test says, as an ordinary run of the image")
    done = subprocess.run(
        [plan.engine.name, "test", str(image)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd="/",
        check=False,
    )
    for line in done.stdout.splitlines():
        plan.say(f"  {line}")
    if done.returncode:
        tail = "\n".join(done.stderr.splitlines()[-_TAIL:])
        raise ImageError(
            f"the image is built and fails its %test (exit code {done.returncode}):\n{tail}\n"
            f"it is kept as {image}; {plan.image} is not written"
        )
