"""Which rank this process is, as rank.sh found it before Python started."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from hpctrain.errors import LaunchError

# one variable of each launcher that starts several ranks; see docs/explanation/launch.md
_LAUNCHED = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "PALS_RANKID", "MV2_COMM_WORLD_RANK")


@dataclass(frozen=True)
class Ranks:
    """Place of this process among all of them."""

    rank: int
    world_size: int
    local_rank: int
    local_size: int
    host: str

    @classmethod
    def from_environment(cls, env: Mapping[str, str] = os.environ) -> Ranks:
        """Read what rank.sh exported; without rank.sh there may be one process only.

        Raises:
            LaunchError: a launcher started this process, but not through rank.sh.
        """
        host = socket.gethostname().split(".")[0]
        if "HPCTRAIN_RANK" in env:
            names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_SIZE")
            try:
                rank, size, local_rank, local_size = (int(env[f"HPCTRAIN_{n}"]) for n in names)
            except (KeyError, ValueError) as e:
                raise LaunchError(
                    f"HPCTRAIN_RANK is set but the rank variables are incomplete ({e}); "
                    "start the run through its rank.sh, which sets all four"
                ) from e
            return cls(rank, size, local_rank, local_size, host)
        launched = [name for name in _LAUNCHED if name in env]
        if launched:
            raise LaunchError(
                f"{launched[0]} is set, so a launcher started this rank, but not through rank.sh; "
                "put the run directory's rank.sh in front of the command, as its run script does"
            )
        return cls(0, 1, 0, 1, host)

    def __str__(self) -> str:
        return f"[rank {self.rank}/{self.world_size} {self.host}]"
