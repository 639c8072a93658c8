"""Tell the echo of another rank's death from an error of this rank."""

from __future__ import annotations

import re

_CLASSES = {"HorovodInternalError", "DistBackendError", "DistNetworkError"}
_TEXTS = re.compile(
    "Horovod has been shut down|Connection (?:(?:was likely )?closed|reset|refused)|Broken pipe"
    "|remote process exited"
)


def is_peer_lost(error: BaseException) -> bool:
    """True for what Horovod, gloo and NCCL raise here when a rank elsewhere has gone.

    gloo raises plain RuntimeErrors, and Horovod's class also stands for tensors that do not
    match, so the text decides.
    """
    names = {base.__name__ for base in type(error).__mro__}
    is_from_collective = bool(names & _CLASSES) or type(error) is RuntimeError
    return is_from_collective and bool(_TEXTS.search(str(error)))
