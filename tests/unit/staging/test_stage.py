"""Stages: whole copies, reuse, torn and changed ones, users who come, go and die, no room."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hpctrain.errors import DataError, StagingError
from hpctrain.staging import Source, Stage, expand, release
from hpctrain.staging import copying as copying_module
from hpctrain.staging import stage as stage_module
from tests.requires import requires

HOST = "node1"
MADE: list[Stage] = []


@pytest.fixture(autouse=True)
def _left():
    yield
    while MADE:
        MADE.pop().leave()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    for name in ("a.npy", "deep/b.npy", "c d'.npy"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(hashlib.sha256(name.encode()).digest() * 1000)
    (root / "empty").touch()
    return root


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def sources(root: Path) -> list[Source]:
    found = []
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        status, digest = path.stat(), hashlib.sha256(path.read_bytes()).hexdigest()
        name = str(path.relative_to(root))
        found.append(Source(name, status.st_size, digest, status.st_mtime_ns))
    return found


def stage(scratch: Path, root: Path, run: str = "/runs/one", digest: str = "d") -> Stage:
    made = Stage(str(scratch), HOST, root, digest, Path(run))
    MADE.append(made)
    return made


def stages_in(scratch: Path) -> list[Path]:
    return [p for p in scratch.glob(f"hpctrain-*/{HOST}/*") if p.is_dir()]


def test_fill__copies_are_equal_in_content_and_time_of_change(scratch, data):
    own = stage(scratch, data)
    outcome = own.fill(sources(data))
    for source in sources(data):
        copy = Path(outcome.root) / source.name
        assert copy.read_bytes() == (data / source.name).read_bytes()
        assert (copy.stat().st_mtime_ns, copy.is_symlink()) == (source.mtime_ns, False)
    assert (scratch / f"hpctrain-{os.getuid()}").stat().st_mode & 0o777 == 0o700
    assert (outcome.num_bytes, outcome.num_files, outcome.reused_bytes) == (96000, 4, 0)
    assert own.leave()
    assert stages_in(scratch) == []


def test_part__the_other_files_are_links_until_they_are_wanted(scratch, data):
    all_files = sources(data)
    one, two = stage(scratch, data), stage(scratch, data, "/runs/two")
    root = Path(one.fill(all_files[:2], all_files).root)
    linked = [s.name for s in all_files if (root / s.name).is_symlink()]
    assert linked == [s.name for s in all_files[2:]]
    assert all((root / s.name).read_bytes() == (data / s.name).read_bytes() for s in all_files)
    outcome = two.fill(all_files[2:], all_files)
    assert outcome.num_files == 2
    assert not any((root / s.name).is_symlink() for s in all_files), "what one has is not undone"
    assert not one.leave()
    assert two.leave()


def test_next_job__takes_what_the_last_one_kept(scratch, data):
    first = stage(scratch, data)
    first.fill(sources(data))
    assert not first.leave(is_kept=True)
    outcome = stage(scratch, data).fill(sources(data))
    assert (outcome.num_bytes, outcome.reused_bytes) == (0, 96000)


@pytest.mark.parametrize("harm", ["content", "shorter", "gone", "journal", "bytes"])
def test_next_job__copies_anew_what_is_not_as_it_was(scratch, data, harm):
    first = stage(scratch, data)
    root = Path(first.fill(sources(data)).root)
    first.leave(is_kept=True)
    path, status = root / "a.npy", (root / "a.npy").stat()
    if harm == "content":  # also where somebody puts the time of change back
        path.write_bytes(b"x" * status.st_size)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif harm == "shorter":
        os.truncate(path, 5)
    elif harm == "gone":
        path.unlink()
    elif harm == "bytes":  # that are no text, as after a disk's fault
        journal = root.parent / "copied"
        journal.write_bytes(journal.read_bytes().replace(b'"a.npy"', b'"a.\xff\xfey"'))
    else:  # torn in the middle of a line, by a kill
        journal = root.parent / "copied"
        lines = journal.read_text().splitlines()
        (torn,) = [line for line in lines if '"a.npy"' in line]
        journal.write_text("\n".join([*[x for x in lines if x != torn], torn[:-20]]))
    for _ in range(2):
        again = stage(scratch, data)
        outcome = again.fill(sources(data))
        assert path.read_bytes() == (data / "a.npy").read_bytes()
        again.leave(is_kept=True)
        expected, outcome_before = (32000, 1), (outcome.num_bytes, outcome.num_files)
        assert outcome_before in (expected, (0, 0))
    assert outcome_before == (0, 0), "the journal is whole again"


def test_after_a_reboot__content_is_read_before_it_is_reused(scratch, data, monkeypatch):
    first = stage(scratch, data)
    root = Path(first.fill(sources(data)).root)
    first.leave(is_kept=True)
    monkeypatch.setattr(copying_module, "boot_id", lambda: "another")
    again = stage(scratch, data)
    assert again.fill(sources(data)).num_files == 0
    again.leave(is_kept=True)
    # the facts are those of the journal, and the content was lost with the power
    journal = root.parent / "copied"
    status = (root / "a.npy").stat()
    with (root / "a.npy").open("r+b") as file:
        file.write(b"\0" * 100)
    os.utime(root / "a.npy", ns=(status.st_mtime_ns, status.st_mtime_ns))
    lines = [json.loads(line) for line in journal.read_text().splitlines() if line]
    for line in lines:
        if line["name"] == "a.npy":
            line["facts"][2] = (root / "a.npy").stat().st_ctime_ns
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert stage(scratch, data).fill(sources(data)).num_files == 1
    assert (root / "a.npy").read_bytes() == (data / "a.npy").read_bytes()


def test_after_a_reboot__each_piece_that_is_read_counts_as_progress(scratch, data, monkeypatch):
    first = stage(scratch, data)
    first.fill(sources(data))
    first.leave(is_kept=True)
    monkeypatch.setattr(copying_module, "boot_id", lambda: "another")
    monkeypatch.setattr(copying_module, "_PIECE", 1000)
    again, beats = stage(scratch, data), set()
    read = copying_module._digest

    def looked_at(file, *more):
        class Watched:
            def read(self, size):
                beats.add(again.progress.beat())
                return file.read(size)

        return read(Watched(), *more)

    monkeypatch.setattr(copying_module, "_digest", looked_at)
    monkeypatch.setattr(copying_module, "_THREADS", 1)
    assert again.fill(sources(data)).num_files == 0
    assert len(beats) >= 96


@pytest.mark.parametrize("how", ["sweep", "leave", "release"])
def test_removal_of_a_large_stage__keeps_no_other_run_waiting(scratch, data, monkeypatch, how):
    old = stage(scratch, data, "/runs/old", "1")
    root = Path(old.fill(sources(data)).root)
    if how != "leave":
        old.leave(is_kept=True)
    begun, go_on = threading.Event(), threading.Event()
    unlink, rmtree = os.unlink, shutil.rmtree

    def held(remove):
        def slow(path, *more, **options):
            is_user = "/users/" in str(path)  # who has left, with the lock held
            if str(root.parent) in str(path) and not is_user and not begun.is_set():
                begun.set()
                assert go_on.wait(30)
            return remove(path, *more, **options)

        return slow

    monkeypatch.setattr(os, "unlink", held(unlink))
    monkeypatch.setattr(shutil, "rmtree", held(rmtree))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3 * 86400)
    new = stage(scratch, data, "/runs/new", "2")
    what = {
        "sweep": lambda: new.fill(sources(data)),
        "leave": old.leave,
        "release": lambda: release(scratch, HOST, Path("/runs/old")),
    }[how]
    thread = threading.Thread(target=what)
    thread.start()
    assert begun.wait(30)
    try:
        with (root.parents[1] / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert not root.exists(), "its name is free"
        before = new.progress.ticks
    finally:
        go_on.set()
        thread.join()
    assert how != "sweep" or new.progress.ticks > before, "removing is progress"
    new.leave()
    assert stages_in(scratch) == []


def test_killed_while_it_removed__the_rest_goes_with_the_next_run(scratch, data):
    torn = scratch / f"hpctrain-{os.getuid()}" / HOST / "0123456789abcdef.gone-1" / "files"
    own = stage(scratch, data)
    own.fill(sources(data))
    torn.mkdir(parents=True)
    (torn / "a.npy").touch()
    assert release(scratch, HOST, Path("/runs/two")) == ["0123456789abcdef"]
    assert not torn.parent.exists()


def test_changed_original__is_refused_and_nothing_stays(scratch, data):
    wanted = sources(data)
    (data / "a.npy").write_bytes(b"y" * 32000)
    with pytest.raises(DataError, match=r"a\.npy: content has changed since the job was rendered"):
        stage(scratch, data).fill(wanted)
    assert stages_in(scratch) == []


def test_missing_original__is_refused(scratch, data):
    wanted = sources(data)
    (data / "a.npy").unlink()
    with pytest.raises(DataError, match=r"a\.npy: cannot be read \(No such file"):
        stage(scratch, data).fill(wanted)


def test_two_runs__share_copies_and_the_last_one_takes_them_away(scratch, data):
    one, two = stage(scratch, data), stage(scratch, data, "/runs/two")
    root = Path(one.fill(sources(data)).root)
    assert two.fill(sources(data)).reused_bytes == 96000
    assert not one.leave()
    assert (root / "a.npy").exists()
    assert two.leave()
    assert not root.exists()


def test_two_runs_at_a_time__one_copies_and_the_other_waits(scratch, data, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()
    copy_all = stage_module.copy_all

    def slow(*arguments):
        begun.set()
        assert go_on.wait(30)
        copy_all(*arguments)

    monkeypatch.setattr(stage_module, "copy_all", slow)
    one, two = stage(scratch, data), stage(scratch, data, "/runs/two")
    found = {}
    threads = [
        threading.Thread(target=lambda own=own, key=key: found.update({key: own.fill(wanted)}))
        for key, own in (("one", one), ("two", two))
        if (wanted := sources(data))
    ]
    threads[0].start()
    assert begun.wait(30)
    threads[1].start()
    while not two.progress.waits:
        time.sleep(0.01)
    go_on.set()
    for thread in threads:
        thread.join()
    assert (found["one"].num_files, found["two"].num_files) == (4, 0)
    one.leave()
    two.leave()


def test_release__takes_away_what_was_kept_for_the_run_alone(scratch, data):
    for run, digest in (("/runs/one", "1"), ("/runs/two", "2")):
        own = stage(scratch, data, run, digest)
        own.fill(sources(data))
        own.leave(is_kept=True)
    at_work = stage(scratch, data, "/runs/one", "3")
    at_work.fill(sources(data))
    assert len(release(scratch, HOST, Path("/runs/one"))) == 1
    assert len(stages_in(scratch)) == 2
    at_work.leave()


def test_kept_too_long__is_taken_away_by_the_next_run(scratch, data, monkeypatch):
    own = stage(scratch, data, "/runs/one", "1")
    own.fill(sources(data))
    own.leave(is_kept=True)
    (old,) = stages_in(scratch)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3 * 86400)
    stage(scratch, data, "/runs/two", "2").fill(sources(data))
    assert not old.exists()


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from tests.unit.staging.test_stage import sources, stage
from hpctrain.staging import copying
from hpctrain.staging.copying import Progress
copying._THREADS = 1
scratch, data = Path(sys.argv[1]), Path(sys.argv[2])
own = stage(scratch, data)
if sys.argv[4] == "middle":
    add = Progress.add
    def die(self, count):
        add(self, count)
        if self.num_files:
            os.kill(os.getpid(), signal.SIGKILL)
    Progress.add = die
own.fill(sources(data))
os.kill(os.getpid(), signal.SIGKILL)
"""


def kill_one(scratch: Path, data: Path, when: str) -> None:
    repo = str(Path(__file__).resolve().parents[3])
    words = [sys.executable, "-c", KILLED, str(scratch), str(data), repo, when]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL


def test_killed_in_mid_copy__whole_files_are_reused_and_torn_ones_are_not(scratch, data):
    kill_one(scratch, data, "middle")
    (place,) = stages_in(scratch)
    (torn,) = (place / "temporary").iterdir()
    assert torn.stat().st_size == 32000
    outcome = stage(scratch, data).fill(sources(data))
    assert (outcome.num_files, outcome.reused_bytes) == (3, 32000)
    assert list((place / "temporary").iterdir()) == []
    for source in sources(data):
        assert (Path(outcome.root) / source.name).read_bytes() == (data / source.name).read_bytes()


def test_killed_user__its_stage_goes_with_the_next_run_of_other_data(scratch, data):
    kill_one(scratch, data, "end")
    assert len(stages_in(scratch)) == 1
    own = stage(scratch, data, "/runs/two", "another index")
    own.fill(sources(data))
    assert len(stages_in(scratch)) == 1
    assert own.leave()


def test_no_room__reads_in_place_and_leaves_nothing(scratch, data, monkeypatch):
    real = os.statvfs

    def full(path):
        values = list(real(path))
        values[4] = 10  # f_bavail
        return os.statvfs_result(values)

    monkeypatch.setattr(stage_module.os, "statvfs", full)
    outcome = stage(scratch, data).fill(sources(data))
    assert outcome.root == ""
    assert "MB left, and the files of this node need 0.1 MB" in outcome.reason
    assert stages_in(scratch) == []


@requires(tmpfs=True)
def test_disk_that_fills_up_in_the_middle__reads_in_place_and_leaves_nothing(
    tmp_path, data, monkeypatch
):
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(small)], check=True)
    try:
        monkeypatch.setattr(stage_module, "_check_room", lambda *_: None)
        outcome = stage(small, data).fill(sources(data))
        assert "cannot be written (No space left on device)" in outcome.reason
        assert stages_in(small) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_folder__missing_relative_unset_or_another_s(scratch, data, monkeypatch):
    monkeypatch.delenv("NOT_SET_HERE", raising=False)
    monkeypatch.setenv("MINE", str(scratch))
    assert expand("$MINE/x") == scratch / "x"
    reasons = {
        "$NOT_SET_HERE/x": r"\$NOT_SET_HERE is not set on this node",
        "": "which is no absolute path",
        "relative": "which is no absolute path",
        str(scratch / "gone"): "gone does not exist on this node",
    }
    for folder, reason in reasons.items():
        outcome = Stage(folder, HOST, data, "d", Path("/runs/one")).fill(sources(data))
        assert outcome.root == ""
        with pytest.raises(StagingError, match=reason):
            raise StagingError(outcome.reason)
    (scratch / f"hpctrain-{os.getuid()}").symlink_to(data)
    assert "not ours" in stage(scratch, data).fill(sources(data)).reason


@pytest.mark.parametrize(
    "name", ["mydata", "mydata/users", "0123456789abcdef", "0123456789abcdef0/users"]
)
def test_folder_that_is_no_stage__stays(scratch, data, name):
    kept = scratch / f"hpctrain-{os.getuid()}" / HOST / name
    kept.mkdir(parents=True)
    kept.parents[len(Path(name).parts)].chmod(0o700)
    (kept / "precious").write_text("mine")
    own = stage(scratch, data)
    assert own.fill(sources(data)).num_files == 4
    own.leave()
    assert release(scratch, HOST, Path("/runs/one")) == []
    assert (kept / "precious").read_text() == "mine"


def test_host_that_is_a_link__is_refused_and_its_target_stays(scratch, data, tmp_path):
    precious = tmp_path / "elsewhere" / "0123456789abcdef" / "users"
    precious.mkdir(parents=True)
    base = scratch / f"hpctrain-{os.getuid()}"
    base.mkdir(mode=0o700)
    (base / HOST).symlink_to(tmp_path / "elsewhere")
    assert f"{base / HOST} is not ours" in stage(scratch, data).fill(sources(data)).reason
    with pytest.raises(StagingError, match="is not ours"):
        release(scratch, HOST, Path("/runs/one"))
    assert precious.is_dir()


def test_base_that_others_write__is_refused_and_one_they_read_is_closed(scratch, data):
    base = scratch / f"hpctrain-{os.getuid()}"
    base.mkdir()
    base.chmod(0o770)
    reason = stage(scratch, data).fill(sources(data)).reason
    assert f"{base} may be written by others (mode 770)" in reason
    base.chmod(0o755)
    assert stage(scratch, data).fill(sources(data)).reason == ""
    assert base.stat().st_mode & 0o777 == 0o700


def test_read_only_folder__is_a_reason_to_read_in_place(data):
    outcome = Stage("/proc/self", HOST, data, "d", Path("/runs/one")).fill(sources(data))
    assert "/proc/self: cannot be written" in outcome.reason


def test_clean_command__says_what_it_took_away(scratch, data, monkeypatch, capsys):
    from hpctrain.staging.__main__ import main

    monkeypatch.setattr("socket.gethostname", lambda: f"{HOST}.cluster")
    own = stage(scratch, data)
    own.fill(sources(data))
    own.leave(is_kept=True)
    monkeypatch.setenv("HPCTRAIN_LOCAL_RANK", "1")
    assert main([str(scratch), "/runs/one"]) == 0
    assert len(stages_in(scratch)) == 1, "one process of a node does it"
    monkeypatch.setenv("HPCTRAIN_LOCAL_RANK", "0")
    assert main([str(scratch), "/runs/one"]) == 0
    assert stages_in(scratch) == []
    assert capsys.readouterr().out == f"staging on {HOST}: 1 left over in {scratch} taken away\n"
    assert main([str(scratch), "/runs/one"]) == 0
    assert main(["$NOT_SET_AT_ALL", "/runs/one"]) == 0
    assert "NOT_SET_AT_ALL is not set on this node; nothing was taken away" in (
        capsys.readouterr().err
    )
    assert main([]) == 2
