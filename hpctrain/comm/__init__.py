"""Communicators: the same few collective calls over Horovod, torch.distributed or nothing."""

from hpctrain.comm.base import Communicator as Communicator
from hpctrain.comm.base import Handle as Handle
from hpctrain.comm.ranks import Ranks as Ranks
from hpctrain.comm.reducer import GradientReducer as GradientReducer
from hpctrain.comm.start import start as start

__all__ = ["Communicator", "GradientReducer", "Handle", "Ranks", "start"]
