"""--buffer-size sets a stream's credit; any size carries any stream."""

import pytest

from harness import wait_until

EVENTS = [b"id: %d\ndata: %b\n\n" % (i, b"x" * (i * 37 % 6000)) for i in range(300)]


def serve_events(server, request):
    server.start_events()
    for event in EVENTS:
        server.chunk(event)
    server.end_chunks()


@pytest.mark.parametrize("flags", [
    ("--buffer-size", "1k", "--buffer-size-max", "1k"),
    ("--buffer-size", "4k"),
    ("--buffer-size", "64k", "--buffer-size-max", "1m"),
    ("--pool-sse-event", "512:16", "--pool-http-message", "1k:16", "--pool-max", "1m"),
])
def test_every_size_carries_the_stream(rig, flags):
    client = rig.client(rig.gateway(rig.upstream(serve_events), *flags))
    client.get()
    assert client.response()[1] == b"".join(EVENTS)


def test_a_smaller_size_reads_less_ahead_of_a_stalled_client(rig):
    sent = {}
    for size in ("4k", "512k"):
        sender = StallingSender()
        upstream = rig.upstream(sender, sndbuf=16 * 1024)
        gateway = rig.gateway(upstream, "--event-hold", "512k", "--buffer-size", size, "--buffer-size-max", size)
        client = rig.client(gateway, rcvbuf=4096)
        client.get()
        client.read_head()
        sent[size] = sender.wait_stalled()
    assert sent["4k"] + 150 * 1024 < sent["512k"]


class StallingSender:
    """Sends small events until the gateway takes no more."""

    def __init__(self):
        self.sent = 0

    def __call__(self, server, request):
        server.start_events()
        while True:
            server.chunk(b"data: %b\n\n" % (b"x" * 500))
            self.sent += 500

    def wait_stalled(self):
        seen = [-1] * 60

        def unchanged():
            seen.append(self.sent)
            return self.sent > 0 and seen[-1] == seen[-60]

        wait_until(unchanged, "the upstream's sends stall")
        return self.sent
