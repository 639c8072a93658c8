"""hpctrain container prune: beside builds that failed, were killed, or are at work."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.builds import OPTIONS, Machine
from tests.e2e.commands import one_message
from tests.runs import wait_until

DAY_S = 86400


def layers(machine: Machine) -> list[str]:
    """Digests of the images in the cache."""
    return sorted(p.stem for p in machine.cache.glob("*.sif") if ".part" not in p.name)


def age(machine: Machine, digest: str, days: float) -> None:
    """Let a layer have been used some days ago."""
    then = time.time() - days * DAY_S
    for path in machine.cache.glob(f"{digest}.*"):
        os.utime(path, (then, then))


def rows(text: str) -> dict[str, str]:
    """What is said of each layer at the end of its line."""
    first, head, *lines, _ = text.splitlines()
    assert " keeps " not in first
    column = head.index("now")
    return {line.split()[0]: line[column:] for line in lines}


@contextmanager
def hanging(machine: Machine, layer: str) -> Iterator[subprocess.Popen[bytes]]:
    """A build that stands at a layer; killed at the end, with the engine."""
    (machine.bin / f"hang-{layer}").touch()
    before = len(machine.built())
    process = subprocess.Popen(
        machine.words("build", *OPTIONS, "-o", "hangs.sif"), cwd=machine.home, env=machine.env(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_until(
            lambda: layer in machine.built()[before:] and any(machine.cache.glob("*.part*.sif")), 30
        )
        yield process
    finally:
        (machine.bin / f"hang-{layer}").unlink()
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)


def test_prune__what_went_unused_goes_and_is_built_again(machine: Machine) -> None:
    built = machine.run("build", *OPTIONS)
    last = built.stderr.splitlines()[-1]
    assert last.startswith(f"{machine.cache} keeps 4 layers, "), built.stderr
    assert last.endswith("`hpctrain container prune` removes what was not used for long")
    assert "nothing freed: what is left was used within 30 days" in machine.run("prune").stdout
    machine.run("build", *OPTIONS, "--comm", "ddp", "-o", "ddp.sif")  # shares system and python
    for digest in layers(machine):
        age(machine, digest, 31)
    machine.run("build", *OPTIONS, "-o", "again.sif")
    dry = machine.run("prune", "--dry-run")
    assert "31 days ago" in dry.stdout
    assert f"{machine.home}/ddp.sif" in dry.stdout
    assert len(layers(machine)) == 5
    done = machine.run("prune")
    same = dry.stdout.replace("would go", "removed").replace("would be freed", "freed")
    assert done.stdout == same
    assert [line.split()[0] for line in done.stdout.splitlines() if "removed" in line] == ["labels"]
    assert len(layers(machine)) == 4
    assert (machine.home / "ddp.sif").exists()
    before = len(machine.built())
    machine.run("build", *OPTIONS, "--comm", "ddp", "-o", "new.sif")
    assert machine.built()[before:] == ["labels"]


def test_prune__days_and_all(machine: Machine) -> None:
    machine.run("build", *OPTIONS)
    for days, digest in enumerate(layers(machine)):
        age(machine, digest, days + 0.5)
    left = layers(machine)[:2]
    assert machine.run("prune", "--older", "2").returncode == 0
    assert layers(machine) == left
    (machine.cache / "mine.sif").write_text("not a layer")
    done = machine.run("prune", "--all")
    assert set(rows(done.stdout).values()) == {"removed"}
    assert [path.name for path in machine.cache.iterdir()] == ["mine.sif"]
    assert machine.run("prune", "--all").stdout == f"{machine.cache}: nothing is kept\n"
    done = machine.run("prune", "--all", "--older", "3")
    assert done.returncode == 2
    assert "--all and --older exclude each other" in one_message(done.stderr)


def test_prune__leaves_all_that_a_build_uses(machine: Machine) -> None:
    machine.run("build", *OPTIONS, "--mpi", "mpich", "-o", "other.sif")
    others = layers(machine)
    with hanging(machine, "horovod") as process:
        used = [digest for digest in layers(machine) if digest not in others]
        assert len(used) == 2
        for words in (("--dry-run",), ()):
            done = machine.run("prune", "--all", *words)
            assert done.stdout.count("stays: a build uses it") == 3, done.stdout
        assert layers(machine) == used
        assert len(list(machine.cache.glob("*.part*.sif"))) == 1
        assert process.poll() is None
    assert machine.run("build", *OPTIONS).returncode == 0
    assert machine.built()[-2:] == ["horovod", "labels"]


def test_prune__half_an_image_that_a_killed_build_left(machine: Machine) -> None:
    with hanging(machine, "python") as process:
        engine = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True
        )
        process.kill()
        process.wait()
        for pid in engine.stdout.split():
            os.killpg(int(pid), signal.SIGKILL)
    (half,) = machine.cache.glob("*.part*.sif")
    done = machine.run("prune")
    assert not half.exists()
    assert rows(done.stdout) == {"python": "removed", "system": "stays"}
    assert len(layers(machine)) == 1


def test_prune__what_cannot_be_removed_keeps_nothing_else(machine: Machine) -> None:
    machine.run("build", *OPTIONS)
    first, second, *others = layers(machine)
    (machine.cache / f"{first}.sif").unlink()
    (machine.cache / f"{first}.sif").mkdir()
    (machine.cache / f"{second}.use").unlink(missing_ok=True)
    (machine.cache / f"{second}.use").mkdir()  # as one of root's: it cannot be opened
    for words, what in ((("--dry-run",), "would go"), ((), "removed")):
        done = machine.run("prune", "--all", *words)
        assert done.returncode == 7
        last = "of 4 cannot be removed, see the last column; remove what is no file there, or make"
        assert last in one_message(done.stderr)
        assert done.stdout.count(what) >= len(others)
        assert done.stdout.count("stays: Is a directory") == 4 - done.stdout.count(f" {what}\n")
        assert "freed" in done.stdout.splitlines()[-1]
    assert layers(machine) == sorted([first, second])
    (machine.cache / f"{first}.sif").rmdir()
    (machine.cache / f"{second}.use").rmdir()
    assert machine.run("prune", "--all").returncode == 0
    assert list(machine.cache.iterdir()) == []
