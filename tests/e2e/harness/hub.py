"""What tests of hubs with a store share: requests of any client, and subscribers that come back."""

import http.client
import json

from .wire import DEADLINE_S


def ask(gateway, target, method="GET", body=None, **fields):
    """The status and the JSON of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=DEADLINE_S)
    try:
        connection.request(method, target, body, {name.replace("_", "-"): value for name, value in fields.items()})
        response = connection.getresponse()
        text = response.read()
        return response.status, json.loads(text) if text else None
    finally:
        connection.close()


class Subscriber:
    """Reads whole events, and goes on elsewhere from the id of the last one."""

    def __init__(self, rig, gateway, target, last_id=None, **options):
        self.client = rig.client(gateway, **options)
        fields = ["Accept: text/event-stream"] + ([f"Last-Event-ID: {last_id}"] if last_id else [])
        self.client.get(target, *fields)
        self.head = self.client.read_head()
        assert self.head.status == 200
        self.last_id = last_id

    def event(self):
        while True:
            block = self.client.body.event()
            fields = dict(line.split(": ", 1) for line in block.decode().split("\n") if ": " in line)
            self.last_id = fields.get("id", self.last_id)
            if "data" in fields:
                return fields

    def data(self, count):
        return [self.event()["data"] for _ in range(count)]

    def values(self, count):
        """The same, as JSON."""
        return [json.loads(data) for data in self.data(count)]


def read_until(process, text):
    """What a client that was started has printed up to `text`, in bytes."""
    got = b""
    while text not in got:
        part = process.stdout.read1()
        assert part, (got, process.stderr.read())
        got += part
    return got
