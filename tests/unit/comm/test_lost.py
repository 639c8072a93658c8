"""Which errors are the echo of another rank's death."""

import pytest

from hpctrain.comm.lost import is_peer_lost


class DistNetworkError(RuntimeError):
    """Named as torch's."""


class HorovodInternalError(RuntimeError):
    """Named as Horovod's; the texts below are those of horovod 0.28.1 and torch 2.13."""


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (HorovodInternalError("Horovod has been shut down. This was caused by ..."), True),
        (HorovodInternalError("Mismatched allreduce tensor shapes: ..."), False),
        (RuntimeError("[pair.cc:534] Connection closed by peer [127.0.0.1]:51034"), True),
        (RuntimeError("[pair.cc:553] Connection reset by peer [10.0.0.1]:5"), True),
        (
            DistNetworkError("Failed to recv, got 0 bytes. Connection was likely closed. Did ..."),
            True,
        ),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (BrokenPipeError("Broken pipe"), False),
        (ValueError("Connection closed by peer"), False),
    ],
)
def test_is_peer_lost__by_class_and_text(error, expected):
    assert is_peer_lost(error) is expected
