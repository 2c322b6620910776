"""What sluice says of itself on its admin port, and the kernel of its process: one sample."""

import collections
import http.client
import json
import os
import re

from . import usage
from .processes import StartError

# Back at their first values when all load has left.
AT_REST = {
    "operations": "sluice_ring_operations",
    "slots": "sluice_buffer_pool_leases",
    "heap_blocks": "sluice_buffer_pool_heap_blocks",
    "pool_size": "sluice_buffer_pool_current_size",
    "streams": "sluice_active_streams",
    "event_streams": "sluice_active_event_streams",
    "client_connections": "sluice_client_connections",
    "upstream_connections": "sluice_upstream_connections",
}
COUNTERS = {
    "events": "sluice_events_total",
    "heartbeats": "sluice_heartbeats_total",
    "stale_completions": "sluice_ring_stale_completions_total",
}
HEALING = {
    "sluice_heal_attempts_total": "attempts",
    "sluice_heal_attempts_paced_total": "paced",
    "sluice_heal_gaps_total": "gaps",
    "sluice_duplicate_events_total": "dropped",
}
HEALS = {f'result="{result}"': result for result in ("resumed", "ended", "refused", "given_up")}
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.M)
REFUSAL = re.compile(r'code="[45]\d\d"')


class Unanswered(StartError):
    """The admin port does not answer, or says that a worker does not."""


def ask(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read().decode()
    except (OSError, http.client.HTTPException) as error:
        raise Unanswered(f"sluice's admin port does not answer: {error}") from error
    finally:
        connection.close()
    if response.status != 200:
        raise Unanswered(f"sluice's admin port answers {response.status}: {body}")
    return body


def sample(pid, port):
    """Sums over workers and pools. Descriptors come first: the scrape's own is not among them."""
    try:
        fds = len(os.listdir(f"/proc/{pid}/fd"))
    except OSError as error:
        raise StartError("sluice has ended") from error
    sums = collections.Counter()
    refused = 0
    for name, labels, value in SAMPLE.findall(ask(port, "/metrics")):
        sums[name] += float(value)
        if name == "sluice_requests_total" and REFUSAL.search(labels):
            refused += int(value)
    missing = [name for name in (*AT_REST.values(), *COUNTERS.values()) if name not in sums]
    if missing:
        raise StartError(f"sluice has no metric {missing[0]}")
    return {"rss": usage.memory_of([pid])["rss"], "fds": fds, "refused": refused,
            **{key: int(sums[name]) for key, name in (AT_REST | COUNTERS).items()}}


def healing(port):
    """What sluice has counted of broken streams."""
    found = collections.Counter()
    for name, labels, value in SAMPLE.findall(ask(port, "/metrics")):
        if name == "sluice_heals_total":
            found[HEALS[labels]] += int(value)
        elif name in HEALING:
            found[HEALING[name]] += int(value)
    return {key: found[key] for key in (*HEALS.values(), *HEALING.values())}


def streams(port):
    """The live streams, as /streams lists them."""
    return json.loads(ask(port, "/streams"))


def above(now, baseline):
    """{gauge: how much is too much}; rss is judged by its slope instead."""
    return {key: now[key] - baseline[key] for key in ("fds", *AT_REST)
            if now[key] > baseline[key]}
