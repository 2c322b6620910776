"""Others' load tools, for what perf/load does not speak: nghttp2's h2load for streams over HTTP/2 and
TLS, OpenSSL's s_time for handshakes. They check no events, but count bytes and what fails."""

import re
import shutil
import urllib.parse

from .processes import Process, StartError

NOTHING_WRONG = dict.fromkeys(("lost", "duplicated", "reordered", "torn", "bad", "streams_aborted",
                               "streams_ended_wrongly", "streams_refused", "connect_failures", "split",
                               "events", "event_bytes", "events_per_s"), 0)
NO_TIMES = {f"{key}_ns": {"count": 0} for key in ("latency", "first_event", "gap", "origin_gap", "request")}
PACKAGES = {"h2load": "nghttp2-client", "openssl": "openssl"}


def start(scenario, address, warmup_s, window_s, environment, running):
    """None where perf/load is the load. Else the process, which ends by itself with the window."""
    if not scenario.tool:
        return None
    if not shutil.which(scenario.tool):
        raise StartError(f"{scenario.tool} was not found (Debian's package {PACKAGES[scenario.tool]})")
    command = {"h2load": h2load, "openssl": s_time}[scenario.tool]
    load = Process("load", command(scenario, address, round(warmup_s), max(1, round(window_s))),
                   {environment.load_cpu}, environment.directory)
    running.append(load)
    return load


def report(scenario, load):
    """In the form of perf/load's."""
    if load.wait(30) is None:
        load.fail("did not end")
    output = load.log.read_text(errors="replace")
    try:
        figures = {"h2load": report_of_h2load, "openssl": report_of_s_time}[scenario.tool](scenario, output)
    except TypeError:  # what we look for is not there
        load.fail("left no report")
    return {**NOTHING_WRONG, **NO_TIMES, **figures}


def h2load(scenario, address, warmup_s, window_s):
    """Streams that never end, from the start to the end of the window."""
    return ["h2load", *([] if scenario.protocol.http2 else ["--h1"]), "--threads", "1",
            "--clients", str(max(1, scenario.connections // scenario.streams_per_connection)),
            "--max-concurrent-streams", str(scenario.streams_per_connection),
            "--warm-up-time", str(warmup_s), "--duration", str(window_s),
            f"{scenario.protocol.scheme}://{address}{scenario.target}"]


def report_of_h2load(scenario, output):
    seconds = float(re.search(r"finished in ([\d.]+)s", output)[1])
    data_bytes = int(re.search(r"\((\d+)\) data", output)[1])
    failed = re.search(r"(\d+) failed, (\d+) errored", output)
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(scenario.target).query)
    events = data_bytes // int(query["size"][0])
    return {"events": events, "event_bytes": data_bytes, "events_per_s": events / seconds,
            "measured_s": seconds, "streams_refused": int(failed[1]) + int(failed[2])}


def s_time(scenario, address, warmup_s, window_s):
    return ["openssl", "s_time", "-connect", address, "-tls1_3", f"-{scenario.mode}",
            "-time", str(warmup_s + window_s), "-www", scenario.target]


def report_of_s_time(_scenario, output):
    found = re.search(r"(\d+) connections in (\d+) real seconds", output)
    return {"request_ns": {"count": int(found[1])}, "measured_s": float(found[2])}
