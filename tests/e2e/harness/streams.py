"""Streams that run side by side through one gateway."""


def event(target, i):
    return f"id: {i}\ndata: {target} {i}\n\n".encode()


def interleave(rig, streams, events, *flags, **options):
    """So many streams with so many events each, a round of all of them at a time; every byte must
    arrive, in its own stream and in order. Returns the gateway."""
    upstream = rig.upstream()
    gateway = rig.gateway(upstream, *flags, **options)
    clients = {f"/stream/{n}": rig.client(gateway) for n in range(streams)}
    for target, client in clients.items():
        client.get(target)
    servers = {}
    for _ in clients:
        server = upstream.accept()
        servers[server.read_request().target] = server
        server.start_events()
    for i in range(events):
        for target, server in servers.items():
            server.chunk(event(target, i))
    for server in servers.values():
        server.end_chunks()
    for target, client in clients.items():
        assert client.response()[1] == b"".join(event(target, i) for i in range(events))
    return gateway
