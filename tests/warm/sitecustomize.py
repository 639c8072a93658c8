"""Python imports this at its start: a rank of a test becomes a fork of the warm process.

See server.py. The process that the launcher started stays as long as its fork does: it passes
signals on and ends as the fork ended, with the same exit code or by the same signal.
"""

import os
import sys


def _hand_over(address: str) -> None:
    import contextlib
    import json
    import signal
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        try:
            server.connect(address)
        except OSError:
            return  # a start as usual
        numbers = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
        ignored = [n for n in numbers if signal.getsignal(n) == signal.SIG_IGN]
        order = {
            "argv": sys.orig_argv[3:],
            "env": dict(os.environ),
            "cwd": os.getcwd(),
            "ignored": ignored,
        }
        socket.send_fds(server, [json.dumps(order).encode()], [0, 1, 2])

        def pass_on(number: int, frame: object) -> None:
            with contextlib.suppress(OSError):  # it has just ended
                server.send(b"%d" % number)

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP):
            signal.signal(number, pass_on)
        code = int(server.recv(64) or b"1")
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


address, _, prefix = os.environ.get("TEST_WARM", "").partition(os.pathsep)
# a job's own interpreter is no fork of another
if prefix == sys.prefix and sys.orig_argv[1:3] == ["-m", "hpctrain.train"]:
    _hand_over(address)
