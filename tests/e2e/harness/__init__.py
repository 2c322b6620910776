"""What the end-to-end tests share: the gateway's process, scripted peers on both of its sides and
one rig a test that ends them all and then checks that the gateway gave everything back."""

from .client import Client
from .gateway import Gateway, Metrics
from .http2 import Http2Client
from .rig import Rig, blackhole, held_port
from .upstream import ScriptedUpstream, UpstreamConnection
from .wire import DEADLINE_S, Aborted, Body, Head, Wire, wait_until

__all__ = [
    "DEADLINE_S", "Aborted", "Body", "Client", "Gateway", "Head", "Http2Client", "Metrics", "Rig",
    "ScriptedUpstream", "UpstreamConnection", "Wire", "blackhole", "held_port", "wait_until",
]
