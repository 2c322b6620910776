"""A hub with a store: what has been acknowledged survives a restart and a kill, and subscribers go on."""

import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import threading

import pytest

from harness.gateway import binary, sanitized
from harness.hub import Subscriber, ask
from harness.wire import DEADLINE_S, wait_until


def start(rig, file, *settings, threads="1", flags=()):
    route = ",".join(["path=/hub", "hub=main", f"hub-store=sqlite:{file}", *settings])
    return rig.gateway(None, "--route", route, "--threads", threads, *flags)


def kill(rig, gateway):
    """No clean exit is to be expected of it."""
    gateway.kill()
    rig.gateways.remove(gateway)


def publish(gateway, stream, *events, query="", **fields):
    return ask(gateway, f"/hub/streams/{stream}{query}", "POST", json.dumps(list(events)),
               Content_Type="application/json", **fields)


def messages(gateway, of, query=""):
    status, answer = ask(gateway, f"/hub/{of}/messages?batch=-1{query}")
    assert status == 200
    return answer


@pytest.mark.parametrize("ack", ["disk", "memory"])
@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_restart_keeps_all_of_it(rig, tmp_path, ack, threads):
    file = tmp_path / "hub.db"
    first = start(rig, file, f"hub-ack={ack}", threads=threads)
    event = {"type": "Paid", "data": {"a": [1, "ü"]}, "metadata": {"correlationStreamName": "x-1"}, "id": "u1"}
    assert publish(first, "account-1", event, {"data": 2}) == (
        201, {"stream": "account-1", "position": 1, "globalPosition": 2, "appended": 2})
    status, _ = ask(first, "/hub/streams/account-2?type=Said", "POST", "two\nlines", Content_Type="text/plain")
    assert status == 201
    for name in ("reader", "former"):
        assert ask(first, f"/hub/consumers/{name}", "PUT", '{"position": 7}')[0] == 200
    assert ask(first, "/hub/consumers/former", "DELETE") == (200, {"consumer": "former", "position": 7})
    before = (messages(first, "categories/account"), ask(first, "/hub/")[1]["epoch"],
              ask(first, "/hub/streams/account-1")[1]["epoch"])
    single = Subscriber(rig, first, "/hub/streams/account-1?position=0")
    category = Subscriber(rig, first, "/hub/categories/account?position=0")
    assert len(single.data(2)) == 2 and len(category.data(3)) == 3
    first.stop()

    second = start(rig, file, f"hub-ack={ack}", threads=threads)
    assert (messages(second, "categories/account"), ask(second, "/hub/")[1]["epoch"],
            ask(second, "/hub/streams/account-1")[1]["epoch"]) == before
    assert [message["position"] for message in messages(second, "categories/account", "&correlation=x")] == [0]
    assert ask(second, "/hub/consumers/reader") == (200, {"consumer": "reader", "position": 7})
    assert ask(second, "/hub/consumers/former")[0] == 404
    assert ask(second, "/hub/streams/account-1/version") == (200, {"version": 1})
    # Subscribers go on behind what they have, and are told of no gap.
    single = Subscriber(rig, second, "/hub/streams/account-1", single.last_id)
    category = Subscriber(rig, second, "/hub/categories/account", category.last_id)
    assert single.head.get("sluice-replay") == "complete" and category.head.get("sluice-replay") == "complete"
    assert publish(second, "account-1", {"data": 3}, query="?expected_version=1") == (
        201, {"stream": "account-1", "position": 2, "globalPosition": 4, "appended": 1})
    assert single.event()["data"] == "3"
    assert json.loads(category.event()["data"])["globalPosition"] == 4


def test_what_is_sent_again_behind_a_restart_is_not_appended_again(rig, tmp_path):
    first = start(rig, tmp_path / "hub.db")
    for _ in range(2):
        assert publish(first, "a-1", {"data": 1, "id": "m"})[1]["position"] == 0
    answer = publish(first, "a-1", {"data": 1}, {"data": 2}, Idempotency_Key="k")[1]
    assert answer["position"] == 2
    kill(rig, first)
    second = start(rig, tmp_path / "hub.db")
    assert publish(second, "a-1", {"data": 1, "id": "m"})[0] == 200
    status, again = publish(second, "a-1", {"data": 1}, {"data": 2}, Idempotency_Key="k")
    assert status == 200 and again["position"] == 2
    assert publish(second, "a-1", {"data": 5}, Idempotency_Key="k")[0] == 422
    assert len(messages(second, "streams/a-1")) == 3


def test_a_kill_makes_a_new_epoch_where_events_were_shown_at_once(rig, tmp_path):
    first = start(rig, tmp_path / "hub.db", "hub-ack=memory")
    # The answer waits for the disk where it is asked to.
    assert publish(first, "a-1", {"data": 1}, query="?ack=disk")[0] == 201
    subscriber = Subscriber(rig, first, "/hub/streams/a-1?position=0")
    subscriber.event()
    kill(rig, first)
    second = start(rig, tmp_path / "hub.db", "hub-ack=memory")
    assert len(messages(second, "streams/a-1")) == 1
    again = Subscriber(rig, second, "/hub/streams/a-1", subscriber.last_id)
    assert again.event()["event"] == "sluice.gap"


class Load:
    """Publishers that go on until the gateway is gone; `acknowledged` has what it has said."""

    def __init__(self, gateway, publishers, run):
        self.acknowledged = []
        self.threads = [threading.Thread(target=self._publish, args=(gateway, f"load-{i}", run))
                        for i in range(publishers)]
        for thread in self.threads:
            thread.start()

    def _publish(self, gateway, stream, run):
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=DEADLINE_S)
        for count in range(1_000_000):
            data = f"{run}/{stream}/{count}"
            try:
                connection.request("POST", f"/hub/streams/{stream}", json.dumps({"data": data}),
                                   {"Content-Type": "application/json"})
                response = connection.getresponse()
                answer = json.loads(response.read())
            except (OSError, http.client.HTTPException):
                return
            assert response.status == 201, answer
            self.acknowledged.append((answer["globalPosition"], stream, answer["position"], data))

    def join(self):
        for thread in self.threads:
            thread.join()


KILLS = 5 if sanitized() else 20


@pytest.mark.parametrize("threads", ["1", "2"])
def test_kills_under_load_lose_nothing_that_was_acknowledged(rig, tmp_path, threads):
    acknowledged = []
    seen = []
    last_id = None
    epoch = None
    for run in range(KILLS):
        gateway = start(rig, tmp_path / "hub.db", threads=threads)
        epoch = epoch or ask(gateway, "/hub/")[1]["epoch"]
        assert ask(gateway, "/hub/")[1]["epoch"] == epoch
        subscriber = Subscriber(rig, gateway, "/hub/categories/load" + ("" if last_id else "?position=0"), last_id)
        assert subscriber.head.get("sluice-replay") == "complete"
        load = Load(gateway, 8, run)
        for _ in range(100):
            seen.append(json.loads(subscriber.event()["data"]))
        last_id = subscriber.last_id
        kill(rig, gateway)
        load.join()
        acknowledged += load.acknowledged
    gateway = start(rig, tmp_path / "hub.db", threads=threads)
    stored = [(message["globalPosition"], message["stream"], message["position"], message["data"])
              for message in messages(gateway, "categories/load")]
    assert [place for place, *_ in stored] == list(range(1, len(stored) + 1))
    for stream in {stream for _, stream, *_ in stored}:
        positions = [position for _, of, position, _ in stored if of == stream]
        assert positions == list(range(len(positions)))
    assert len(acknowledged) > 100 and set(acknowledged) <= set(stored)
    assert len({data for *_, data in stored}) == len(stored)
    # The subscriber has had each event once, in order, over all of the kills.
    subscriber = Subscriber(rig, gateway, "/hub/categories/load", last_id)
    while len(seen) < len(stored):
        seen.append(json.loads(subscriber.event()["data"]))
    assert [(message["globalPosition"], message["data"]) for message in seen] == [
        (place, data) for place, _, _, data in stored]


def test_no_stream_is_forgotten_for_a_new_one(rig, tmp_path):
    limits = ("hub-streams=2", "hub-history-events=1")
    for first in (0, 1):  # behind a restart, too
        gateway = start(rig, tmp_path / "hub.db", *limits)
        # In memory the second one's event takes the place of the first one's.
        for stream in ("a-1", "b-1"):
            status, answer = publish(gateway, stream, {"data": 1})
            assert status == 201 and answer["position"] == first
        status, answer = publish(gateway, "c-1", {"data": 1})
        assert status == 403 and answer["detail"] == "The hub has as many streams as it may have."
        gateway.stop()


def test_people_read_it_with_sqlite_while_it_runs(rig, tmp_path):
    gateway = start(rig, tmp_path / "hub.db")
    publish(gateway, "account-1", {"type": "Paid", "data": {"a": 1}, "id": "936da01f-9abd-4d9d-80c7-02af85c822a8"})
    with sqlite3.connect(f"file:{tmp_path}/hub.db?mode=ro", uri=True) as db:
        rows = db.execute("SELECT global_position, position, stream_name, type, data, id FROM messages").fetchall()
    assert rows == [(1, 0, "account-1", "Paid", '{"a": 1}', "936da01f-9abd-4d9d-80c7-02af85c822a8")]


def test_a_full_disk_is_told_and_over_when_there_is_room(rig, small_disk):
    gateway = start(rig, small_disk / "hub.db")
    assert publish(gateway, "a-1", {"data": 1})[0] == 201
    assert ask(gateway, "/hub/consumers/d", "PUT", '{"position": 2}')[0] == 200
    subscriber = Subscriber(rig, gateway, "/hub/streams/a-1?position=0")
    filler = small_disk / "filler"
    with open(filler, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, 20 << 20)
    # The first that it tells it by is taken, and then given up.
    assert ask(gateway, "/hub/consumers/d", "PUT", '{"position": 3}')[0] == 507
    assert publish(gateway, "a-1", {"data": 2})[0] == 507
    wait_until(lambda: "hub main: its store is full" in gateway.errors(), "the message")
    # What is there can be read.
    assert subscriber.event()["data"] == "1"
    assert len(messages(gateway, "streams/a-1")) == 1
    assert ask(gateway, "/hub/consumers/c", "PUT", '{"position": 1}')[0] == 507
    assert ask(gateway, "/hub/consumers/d", "DELETE")[0] == 507
    assert ask(gateway, "/hub/consumers/d")[1]["position"] == 2, "it has been taken back"
    filler.unlink()
    wait_until(lambda: "hub main: its store takes events again" in gateway.errors(), "the message")
    status, answer = publish(gateway, "a-1", {"data": 3})
    assert status == 201 and answer["position"] == 1
    assert subscriber.event()["data"] == "3"


def test_a_hub_in_memory_goes_on_beside_one_whose_disk_is_full(rig, small_disk):
    gateway = start(rig, small_disk / "hub.db", threads="2", flags=("--route", "path=/memory,hub=memory"))
    subscriber = Subscriber(rig, gateway, "/memory/streams/a-1?position=0")
    with open(small_disk / "filler", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, 20 << 20)
    for position in range(8):  # on either worker
        assert publish(gateway, "a-1", {"data": 1})[0] == 507
        status, answer = ask(gateway, "/memory/streams/a-1", "POST", str(position), Content_Type="text/plain")
        assert status == 201 and answer["position"] == position
        assert subscriber.event()["data"] == str(position)
    gateway.wait_metric("sluice_hub_store_failing", 1, hub="main")
    metrics = gateway.metrics()
    assert metrics.sum("sluice_hub_store_failures_total", hub="main") == 1
    assert metrics.sum("sluice_hub_store_failures_total") == 1, "and no other hub's"


def test_a_start_on_a_full_disk_waits_for_room(rig, small_disk):
    filler = small_disk / "filler"
    with open(filler, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, 36 << 20)
    for again in range(8):  # the store's thread and the workers' may begin in any order
        gateway = start(rig, small_disk / "hub.db", threads="2")
        wait_until(lambda: "hub main: its store is full" in gateway.errors(), "the message")
        if again < 7:
            gateway.stop()
    for _ in range(8):  # on either worker
        assert publish(gateway, "a-1", {"data": 1})[0] == 507
    filler.unlink()
    wait_until(lambda: "hub main: its store takes events again" in gateway.errors(), "the message")
    for position in range(8):
        assert publish(gateway, "a-1", {"data": 1})[1]["position"] == position


def refusal(route):
    done = subprocess.run([binary(), "--listen", "127.0.0.1:0", "--threads", "1", "--route", route],
                          capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode != 0
    return done.stderr


def test_a_file_that_cannot_be_the_store_is_told_at_the_start(rig, tmp_path):
    text = tmp_path / "notes"
    text.write_text("something else, by hand")
    assert "it is no SQLite database" in refusal(f"path=/hub,hub=main,hub-store=sqlite:{text}")
    assert text.read_text() == "something else, by hand"
    start(rig, tmp_path / "hub.db")
    assert "another hub works with this store" in refusal(f"path=/hub,hub=main,hub-store=sqlite:{tmp_path}/hub.db")
    assert "is no store: sqlite:FILE" in refusal("path=/hub,hub=main,hub-store=nats:x")
    assert "a store belongs to a hub" in refusal(
        f"path=/a,upstream=http://127.0.0.1:1,hub-store=sqlite:{tmp_path}/x.db")


def test_a_reload_adds_a_hub_with_a_store_and_changes_none(rig, tmp_path):
    config = tmp_path / "sluice.toml"

    def write(*hubs):
        config.write_text("".join(
            f'[[route]]\npath = "/{name}"\nhub = "{name}"\nhub-store = "sqlite:{tmp_path}/{file}.db"\n'
            for name, file in hubs))

    write(("one", "one"))
    gateway = rig.gateway(None, "--config", str(config))
    assert ask(gateway, "/one/streams/a-1", "POST", "1", Content_Type="text/plain")[0] == 201
    write(("one", "one"), ("two", "two"))
    gateway.signal(signal.SIGHUP)
    gateway.wait_metric("sluice_config_generation", 2)  # then all workers have it
    gateway.own_fds = gateway.open_fds()  # with those of another store
    assert ask(gateway, "/two/streams/a-1", "POST", "1", Content_Type="text/plain")[0] == 201
    assert len(ask(gateway, "/one/streams/a-1/messages")[1]) == 1
    write(("one", "other"), ("two", "two"))
    gateway.signal(signal.SIGHUP)
    wait_until(lambda: "hub-store of hub one: another one takes a restart" in gateway.errors(), "the refusal")
    assert ask(gateway, "/one/streams/a-1", "POST", "2", Content_Type="text/plain")[0] == 201


def test_a_refused_reload_leaves_no_store_open(rig, tmp_path):
    config = tmp_path / "sluice.toml"
    one = f'[[route]]\npath = "/one"\nhub = "one"\nhub-store = "sqlite:{tmp_path}/one.db"\n'
    two = f'[[route]]\npath = "/two"\nhub = "two"\nhub-store = "sqlite:{tmp_path}/two.db"\n'
    config.write_text('listen = ["127.0.0.1:0"]\n' + one)
    gateway = rig.gateway(None, "--config", str(config), listens=True)
    assert ask(gateway, "/one/streams/a-1", "POST", "1", Content_Type="text/plain")[0] == 201
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        config.write_text(f'listen = ["127.0.0.1:0", "127.0.0.1:{port}"]\n' + one + two)
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: "nothing has changed" in gateway.errors(), "the refusal")
    assert not any("two.db" in os.readlink(f"/proc/{gateway.process.pid}/fd/{fd}")
                   for fd in os.listdir(f"/proc/{gateway.process.pid}/fd"))
    # So another one may have it.
    other = start(rig, tmp_path / "two.db")
    assert publish(other, "a-1", {"data": 1})[0] == 201
    other.stop()
    # And so may this one, once its reload is in order.
    config.write_text('listen = ["127.0.0.1:0"]\n' + one + two)
    gateway.signal(signal.SIGHUP)
    gateway.wait_metric("sluice_config_generation", 2)  # then all workers have it
    gateway.own_fds = gateway.open_fds()  # with those of another store
    assert len(ask(gateway, "/two/streams/a-1/messages")[1]) == 1
