"""A process that has imported torch and forks ranks: a start costs no seconds of imports.

A rank of two spends three seconds on imports, and half a second on what a test looks at. So the
ranks of runs that nobody disturbs are forks of this process; everything else is as on a machine:
the run script, mpirun, rank.sh, an interpreter with the rank's own environment (sitecustomize.py),
and in the fork the package that travels in the run directory, which is never imported here. Tests
that send signals to ranks or kill them start them as usual.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import runpy
import selectors
import shutil
import signal
import socket
import sys
import traceback
from pathlib import Path

MODULES = (
    *("torch", "torch._dynamo", "torch.utils.data", "torch.utils.tensorboard"),
    *("scipy.io", "scipy.fft", "h5py", "pydantic", "yaml", "PIL.Image"),
    *("matplotlib.figure", "matplotlib.backends.backend_agg", "horovod.torch"),
)


class Server:
    """Forks a rank for each connection, and passes on what happens on either side."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._selector = selectors.DefaultSelector()
        self._selector.register(0, selectors.EVENT_READ, self._end)
        self._selector.register(listener, selectors.EVENT_READ, self._accept)
        self._ranks: dict[int, socket.socket] = {}

    def serve(self) -> None:
        """Until standard input closes."""
        while True:
            for key, _ in self._selector.select():
                key.data()

    def _end(self) -> None:
        for pid in self._ranks:
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(Path(self._listener.getsockname()).parent)
        sys.exit()

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        message, files, _, _ = socket.recv_fds(connection, 1 << 20, 3)
        pid = os.fork()
        if not pid:
            for opened in (self._selector, self._listener, connection, *self._ranks.values()):
                opened.close()
            become(json.loads(message), files)
        for file in files:
            os.close(file)
        self._ranks[pid] = connection
        ended = os.pidfd_open(pid)
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._signal(pid))
        self._selector.register(ended, selectors.EVENT_READ, lambda: self._tell(pid, ended))

    def _signal(self, pid: int) -> None:
        """The launcher's process got a signal, or was killed."""
        if pid not in self._ranks:
            return  # it has just ended
        number = self._ranks[pid].recv(64)
        if not number:
            self._selector.unregister(self._ranks[pid])
        os.kill(pid, int(number or signal.SIGKILL))

    def _tell(self, pid: int, ended: int) -> None:
        """The rank has ended."""
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        connection = self._ranks.pop(pid)
        with contextlib.suppress(KeyError):
            self._selector.unregister(connection)
        self._selector.unregister(ended)
        os.close(ended)
        with contextlib.suppress(OSError), connection:
            connection.send(b"%d" % code)


def become(order: dict, files: list[int]) -> None:
    """Be the process that `python -m hpctrain.train ...` would be, with its three files."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.setsid()
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in order["ignored"]:
        signal.signal(number, signal.SIG_IGN)
    path = [p for p in order["env"].get("PYTHONPATH", "").split(os.pathsep) if p]
    sys.path[:0] = [order["cwd"], *path]
    sys.argv[:] = ["-m", *order["argv"]]
    code = 1
    try:
        runpy.run_module("hpctrain.train", run_name="__main__", alter_sys=True)
    except SystemExit as e:
        code = e.code if isinstance(e.code, int) else int(bool(e.code))
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    del sys.path[0]  # this folder, with its sitecustomize
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C comes to pytest, too
    for name in MODULES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    address = sys.argv[1]
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen(64)
        print("warm", flush=True)
        Server(listener).serve()
