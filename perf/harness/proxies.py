"""The proxies of a comparison: how each is configured and started, by name.

NAME or NAME+VARIANT. Names: nginx, haproxy, h2o, caddy, sluice, relay, and direct (no proxy: what
origin and load cost by themselves). caddy is there for compression only. Variants: +unix has the upstream on a unix socket; any other adds
flags to sluice (VARIANTS, or compare's --variant).
"""

import os
import pathlib
import re
import shutil
import subprocess

from . import protocols
from .processes import Process, StartError

PEERS_DIRECTORY = pathlib.Path(__file__).resolve().parents[1] / "peers"
PEERS = ("nginx", "haproxy", "h2o", "caddy")
NAMES = (*PEERS, "sluice", "relay", "direct")
# As sluice packs: level 6, whatever asks for it. nginx flushes at each read that it does not buffer.
NGINX_GZIP = ("gzip on; gzip_types text/event-stream; gzip_proxied any; gzip_comp_level 6; "
              "gzip_min_length 0; gzip_vary on;")
VARIANTS = {
    "unix": [],
    "budget": ["--latency-budget", "500us"],
    "pace": ["--pace", "40ms"],
}


def split_name(name):
    base, _, variant = name.partition("+")
    return base, variant


def is_peer(name):
    return split_name(name)[0] in PEERS


def check_name(name, programs):
    """None, or why this proxy cannot run here."""
    base, variant = split_name(name)
    if base not in NAMES:
        return f"there is no proxy {base}; there are {', '.join(NAMES)}"
    if variant and variant not in VARIANTS:
        return f"there is no variant {variant}; there are {', '.join(VARIANTS)} (and --variant)"
    if variant not in ("", "unix") and base != "sluice":
        return f"the variant {variant} is sluice's"
    if base != "direct" and not shutil.which(programs.get(base, base)):
        hint = "scripts/setup --perf" if base in PEERS else "build the release preset"
        return f"{programs.get(base, base)} was not found ({hint})"
    return None


def version_of(base, programs):
    flags = {"nginx": "-v", "haproxy": "-v", "h2o": "--version", "caddy": "version",
             "sluice": "--version"}
    if base not in flags:
        return ""
    done = subprocess.run([programs.get(base, base), flags[base]], capture_output=True, text=True,
                          timeout=10, check=False)
    first = (done.stdout + done.stderr).splitlines()[:1]
    return first[0] if first else ""


def start(name, port, upstream, scenario, environment):
    """Starts it on its CPU, listening on the port, and waits until it does. `upstream` is
    127.0.0.1:PORT or unix:PATH; nginx and HAProxy take several, with commas between them."""
    base, variant = split_name(name)
    directory = environment.directory
    program = environment.programs.get(base, base)
    if base in PEERS:
        config = render(base, port, upstream, scenario, environment)
        command = {
            "nginx": [program, "-p", str(directory), "-c", str(config), "-e", "stderr"],
            "haproxy": [program, "-db", "-q", "-f", str(config)],
            "h2o": [program, "-m", "worker", "-c", str(config)],
            # One CPU, as the others have it; it would ask how many there are.
            "caddy": ["env", "GOMAXPROCS=1", f"XDG_DATA_HOME={directory}", f"XDG_CONFIG_HOME={directory}",
                      program, "run", "--config", str(config), "--adapter", "caddyfile"],
        }[base]
    elif base == "relay":
        command = [program, "--listen", f"127.0.0.1:{port}", "--upstream", upstream]
    elif base == "sluice":
        url = upstream if upstream.startswith("unix:") else f"http://{upstream}"
        command = [program, *protocols.listener_of_sluice(scenario.protocol, port, directory),
                   "--upstream", url, "--threads", str(environment.workers), "--admin", "off", "--log-level", "warn",
                   *(["--compress", scenario.coding] if scenario.coding else []),
                   *VARIANTS.get(variant, [])]
    else:
        raise StartError(f"{name} cannot be started")
    process = Process(name, command, environment.proxy_cpus, directory)
    try:
        process.wait_for_port(port)
    except StartError:
        process.stop()
        raise
    return process


def render(base, port, upstream, scenario, environment):
    """Writes the peer's configuration file and returns its path."""
    template = next(PEERS_DIRECTORY.glob(f"{base}.*.in"))
    unix = {"nginx": "unix:{}", "haproxy": "unix@{}", "h2o": "[unix:{}]", "caddy": "unix/{}"}[base]
    servers = [unix.format(each.removeprefix("unix:")) if each.startswith("unix:") else each
               for each in upstream.split(",")]
    as_root = {"nginx": "user root;", "h2o": "user: root"}  # else it could not reach our directory
    values = {
        "DIR": str(environment.directory),
        "PORT": str(port),
        "FILES": str(environment.files),
        "CONNECTIONS": str(min(environment.files // 2 - 100, 65536)),
        "BUFFER": scenario.nginx_buffer,
        "CODING": scenario.coding,
        "GZIP": NGINX_GZIP if scenario.coding == "gzip" else "gzip off;",
        "USER": as_root.get(base, "") if os.geteuid() == 0 else "",
        **protocols.listener_of_peer(base, scenario.protocol, environment.directory),
    }
    text = "".join(fill_in(line, values | {"UPSTREAM": server, "NUMBER": str(number)})
                   for line in template.read_text().splitlines(keepends=True)
                   for number, server in enumerate(servers if "@UPSTREAM@" in line else servers[:1]))
    config = environment.directory / template.name.removesuffix(".in")
    config.write_text(text)
    return config


def fill_in(line, values):
    return re.sub(r"@([A-Z]+)@", lambda match: values.get(match[1], match[0]), line)
