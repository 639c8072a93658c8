"""What the comments of PBS mean; qstat -f shows them, and support answers by them.

The texts are those of OpenPBS' scheduler (job_info.c); sites explain some of them (ALCF's user
guides, running-jobs and known issues).
"""

from __future__ import annotations

from hpctrain.schedulers.reasons import WAIT, table

_LIMIT = "wait until own or the project's jobs end, or use another resources.queue or account"

REASONS = table(
    (
        "too many failed attempts to run",
        "PBS tried to start it 20 times, and gave up: the folder of its log is missing or not "
        "writable, or a node is broken",
        "make RUN/logs if it is gone, cancel the job and hand it in again",
    ),
    ("and terminated$", "it was deleted", "if that was not meant, hand it in again"),
    ("^Job held by", "someone, most often its owner, holds it", "release it: hpctrain release RUN"),
    (
        "^Can Never Run.*(Insufficient amount of|Not enough total nodes)",
        "it asks for more than the machine has; ncpus and ngpus count for each node",
        "cancel it and lower resources.nodes, ranks_per_node, cpus_per_rank or gpus_per_rank",
    ),
    (
        "^Can Never Run",
        "as it is it can never start",
        "cancel it and change what the comment names",
    ),
    (
        "Queue not started|Queue not an execution",
        "its queue starts no jobs at present",
        "wait, or use another resources.queue (qstat -Q)",
    ),
    (
        "Insufficient amount of resource: [Qq]list|queue_tags",
        "the nodes of its queue are all busy, or it was handed in to a queue that only a routing "
        "queue should fill",
        "wait; if it lasts, use the routing queue in resources.queue",
    ),
    (
        "Insufficient amount of (server|queue) resource",
        "a resource that all share, such as a file system or a licence, is not there at present",
        "wait; look whether resources.filesystems names one that is down",
    ),
    (
        "Insufficient amount of resource|Not enough free nodes|Not enough of the right type|"
        "No available resources|too few free resources",
        "the nodes that it needs are busy",
        WAIT,
    ),
    (
        "reservation or top job|interfere with a|strict sorted order",
        "nodes are free, but kept for a job before it or a reservation",
        "wait, or lower resources.walltime so that it fits in between",
    ),
    (
        "dedicated time|Dedicated time|primetime|will cross into",
        "it would not end before a maintenance or another period of the site",
        "wait, or lower resources.walltime so that it ends before",
    ),
    (
        "ineligible state",
        "nodes that it was planned on are down or offline",
        "wait; if it lasts, cancel it and hand it in again, or ask the site's support",
    ),
    (
        "job limit|running limit|per-(user|group|project) limit|would exceed .* limit|"
        "subjobs limit|run limit",
        "a limit of running jobs, or of what they use, is reached",
        _LIMIT,
    ),
    ("exclusive node and node is in use", "a node that it needs alone is in use", WAIT),
    (
        "deleted at request of Scheduler|[Pp]reempted",
        "it was thrown out for a job that goes first",
        "hand it in again, it goes on from its newest checkpoint, or use another queue",
    ),
    ("^depend=", "it waits for another job to end", WAIT),
    (
        "Failed to run|PBS Error",
        "PBS could not start it on its nodes",
        "hand it in again; if it fails again, ask the site's support and give them the job id",
    ),
)
