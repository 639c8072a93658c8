"""Where the doctor is, and what it takes for granted."""

from __future__ import annotations

import os
import platform
import socket

from hpctrain.config.site import Site
from hpctrain.doctor.place import Allocation
from hpctrain.doctor.plan import Plan
from hpctrain.doctor.topic import Topic
from hpctrain.preflight.here import is_of
from hpctrain.provenance.host import host_facts


def machine_topic(site: Site, allocation: Allocation | None, plan: Plan) -> Topic:
    """Host, job, site and container."""
    facts = host_facts()
    topic = Topic("machine", facts=facts)
    topic.facts |= {"host": socket.gethostname(), "site": site.name, "cores": os.cpu_count()}
    topic.ok("host", f"{socket.gethostname()}, {os.cpu_count()} cores, {platform.platform()}")
    if is_of(site):
        topic.ok("site", f"{site.name}: {site.title}")
    else:
        topic.warning(
            "site",
            f"this host is none of those of {site.name}: {', '.join(site.hostnames)}",
            "ask there, or name the site of this host with --site",
        )
    if allocation is not None:
        _job(topic, site, allocation)
    elif site.scheduler == "local":
        topic.ok("job", "none: this site has no scheduler")
    else:
        topic.note("job", "none: this is a login node, so compute nodes may differ", plan.remedy)
    if "container" in facts:
        topic.ok("container", f"inside {facts['container']['image']}")
    return topic


def _job(topic: Topic, site: Site, allocation: Allocation) -> None:
    nodes, slots, kind = allocation.nodes, allocation.slots, allocation.scheduler
    topic.facts["job"] = {"id": allocation.job_id, "scheduler": kind, "nodes": nodes}
    topic.facts["job"]["slots"] = slots
    room = f" with room for {slots} rank{'s' * (slots > 1)} on each" if slots else ""
    text = f"inside {kind} job {allocation.job_id} of {nodes} node{'s' * (nodes > 1)}{room}"
    if allocation.trouble:
        topic.warning(
            "job",
            f"{text}, as is taken for granted: {allocation.trouble}",
            "ask from the job's own script or shell, not from one that came to the node by ssh",
        )
    else:
        topic.ok("job", text)
    if kind != site.scheduler:
        topic.warning(
            "job",
            f"it is of {kind}, and site {site.name} has {site.scheduler}",
            f"name this machine's site with --site: a name, a file, or generic-{kind}",
        )
