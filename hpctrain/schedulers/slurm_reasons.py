"""What Slurm's reasons and states mean (squeue(1), JOB REASON CODES and JOB STATE CODES)."""

from __future__ import annotations

from hpctrain.schedulers.reasons import WAIT, table

_LIMIT = "wait until own or the project's jobs end, ask for less, or use another queue or account"

REASONS = table(
    ("^Resources$", "it is next, and waits for nodes to become free", WAIT),
    ("^Priority$", "other jobs are before it in the queue", WAIT),
    ("^(None|Cleaning|Prolog|WaitingForScheduling)$", "Slurm has not looked at it yet", WAIT),
    (
        "^DependencyNeverSatisfied$",
        "the job it waits for ended otherwise than it wants, so it can never start",
        "cancel it (hpctrain cancel RUN), start the other run again, then hand this one in anew",
    ),
    ("^Dependency$", "it waits for another job to end", WAIT),
    ("^JobHeldUser$", "its owner holds it", "release it: hpctrain release RUN"),
    (
        "^JobHeldAdmin$",
        "an administrator holds it",
        "ask the site's support; only they can release it",
    ),
    (
        "^(launch.failed.requeued.held|JobHoldMaxRequeue|launch_failed_requeued_held)$",
        "it failed to start on its nodes again and again, so Slurm holds it",
        "look whether the log folder is there and writable, then: hpctrain release RUN",
    ),
    (
        "^BeginTime$",
        "its start time has not come; after a requeue Slurm waits about two minutes by itself",
        WAIT,
    ),
    (
        "^(PartitionDown|PartitionInactive)$",
        "its partition takes no jobs at present",
        "wait, or cancel it and render it with another resources.queue (sinfo lists them)",
    ),
    (
        "^PartitionTimeLimit$",
        "its walltime is longer than its partition allows",
        "cancel it, lower resources.walltime (sinfo shows the limits) and add a chain: block",
    ),
    (
        "^PartitionNodeLimit$",
        "it asks for more or fewer nodes than its partition allows, or some of them are down",
        "cancel it and change resources.nodes or resources.queue (scontrol show partition)",
    ),
    (
        "^(AccountNotAllowed|InvalidAccount|QOSNotAllowed|InvalidQOS|PartitionConfig)$",
        "its account or QOS may not use this partition",
        "cancel it and change resources.account or resources.queue; `sacctmgr show assoc "
        "user=$USER` lists what is allowed",
    ),
    (
        "^(BadConstraints|NodeDown|FrontEndDown)$",
        "no node of the partition can give what it asks for, or its nodes are down",
        "cancel it and lower cpus_per_rank, gpus_per_rank or memory_gb_per_node (sinfo -Nel)",
    ),
    (
        "^ReqNodeNotAvail",
        "nodes that it needs are reserved, drained or down; often a maintenance begins before "
        "its walltime would end",
        "wait, or lower resources.walltime so that it ends before (scontrol show reservation)",
    ),
    (
        "^(Reservation|ReservationDeleted|InvalidReservation)$",
        "its reservation has not begun, or is gone",
        "wait, or cancel it and take the reservation out of resources.directives",
    ),
    ("^Licenses$", "it waits for a licence", WAIT),
    ("^JobArrayTaskLimit$", "as many elements of its array run as may run at a time", WAIT),
    (
        "^(Assoc|QOS)Max.*(PerJob|PerNode|MinutesPerJob|WallDurationPerJob)",
        "it asks for more than one job of this account or QOS may have, so it can never start",
        "cancel it and ask for less, or use another resources.queue or account",
    ),
    (
        "^(Assoc|QOS)Grp.*(Minutes|Mins|RunMinutes)",
        "the account's or QOS' allocation of time is used up or promised to running jobs",
        "wait for running jobs to end; if the allocation is used up, ask for more or use another "
        "resources.account",
    ),
    (
        "^(Assoc|QOS)(Grp|Max)|^Max.*Per(Account|User)|^AssociationJobLimit|^QOSJobLimit",
        "a limit of this account, QOS or user is reached",
        _LIMIT,
    ),
    ("^(AssocMax|QOSMax|QOSUsage|QOSResource|AssociationResource)", "a limit is reached", _LIMIT),
    (
        "^(TIMEOUT|TimeLimit|DEADLINE)$",
        "its walltime was over",
        "hand it in again, it goes on from its newest checkpoint; a chain: block does so by itself",
    ),
    (
        "^(OUT_OF_MEMORY|OutOfMemory|OUT_OF_ME)$",
        "a node had no memory left, so Slurm ended it",
        "raise resources.memory_gb_per_node, or lower data.workers, global_batch_size or "
        "ranks_per_node",
    ),
    (
        "^(NODE_FAIL|NodeFail|BOOT_FAIL|LAUNCH_FAILED)$",
        "a node of it failed",
        "hand it in again, it goes on from its newest checkpoint",
    ),
    (
        "^PREEMPTED$",
        "it was thrown out for another job",
        "hand it in again, it goes on from its newest checkpoint, or use another queue",
    ),
    ("^CANCELLED$", "it was cancelled", "if that was not meant, hand it in again"),
)
