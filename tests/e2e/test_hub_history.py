"""History that is in a hub's store and not in its memory any more: readers get it from there, and join what is live."""

import json
import re
import signal
import subprocess
import threading

import pytest

from harness.gateway import sanitized
from harness.hub import Subscriber, ask
from harness.wire import DEADLINE_S, wait_until

PAGE_BYTES = 4096  # of the file
TABLE_LEAF = 0x0D


def start(rig, file, *settings, threads="1", flags=()):
    """Its memory holds next to nothing."""
    memory = [] if any(setting.startswith("hub-history") for setting in settings) else ["hub-history-events=50"]
    route = ",".join(["path=/hub", "hub=main", f"hub-store=sqlite:{file}", *memory, *settings])
    return rig.gateway(None, "--route", route, "--threads", threads, *flags)


def publish(gateway, stream, *data):
    body = json.dumps([{"type": "T", "data": one} for one in data])

    def taken():
        status, answer = ask(gateway, f"/hub/streams/{stream}", "POST", body, Content_Type="application/json")
        assert status in (201, 503), answer  # the latter where the disk does not keep up
        return status == 201

    wait_until(taken, "room in the store's queue")


def publish_many(gateway, stream, first, count, batch=500):
    for at in range(first, first + count, batch):
        publish(gateway, stream, *range(at, min(at + batch, first + count)))


@pytest.mark.parametrize("ack", ["disk", "memory"])
@pytest.mark.parametrize("threads", ["1", "2"])
def test_all_of_it_comes_once_and_in_order_while_publishing_goes_on(rig, tmp_path, threads, ack):
    gateway = start(rig, tmp_path / "hub.db", f"hub-ack={ack}", threads=threads)
    half = 4_000 if sanitized() else 10_000
    count = 2 * half
    publish_many(gateway, "a-1", 0, half)
    publisher = threading.Thread(target=publish_many, args=(gateway, "a-1", half, half, 50))
    publisher.start()
    singles = [Subscriber(rig, gateway, "/hub/streams/a-1?position=earliest") for _ in range(4)]
    categories = [Subscriber(rig, gateway, "/hub/categories/a?position=1") for _ in range(2)]
    several = Subscriber(rig, gateway, "/hub/subscribe?stream=a-1&category=a&stream=none-1&position=1&mode=poke")
    assert categories[0].head.get("sluice-replay") == "complete"
    for single in singles:
        assert single.values(count) == list(range(count))
    for category in [*categories, several]:
        assert [message["globalPosition"] for message in category.values(count)] == list(range(1, count + 1))
    publisher.join()
    # And what is live from there on, from memory.
    publish(gateway, "a-1", count)
    assert [single.values(1) for single in singles] == [[count]] * 4
    assert [category.values(1)[0]["position"] for category in [*categories, several]] == [count] * 3
    assert gateway.metrics().sum("sluice_hub_gaps_total") == 0
    assert gateway.metrics().sum("sluice_hub_store_pages_total") > 0


@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_subscriber_comes_back_behind_a_restart_from_long_ago(rig, tmp_path, threads):
    first = start(rig, tmp_path / "hub.db", threads=threads)
    publish_many(first, "a-1", 0, 100)
    publish_many(first, "b-1", 0, 10)
    single = Subscriber(rig, first, "/hub/streams/a-1?position=0")
    category = Subscriber(rig, first, "/hub/categories/a?position=0")
    assert single.values(30) == list(range(30)) and len(category.values(20)) == 20
    publish_many(first, "b-1", 10, 3000)
    publish_many(first, "a-1", 100, 100)
    first.stop()
    second = start(rig, tmp_path / "hub.db", threads=threads)
    for _ in range(4):
        single_again = Subscriber(rig, second, "/hub/streams/a-1", single.last_id)
        category_again = Subscriber(rig, second, "/hub/categories/a", category.last_id)
        for again in (single_again, category_again):
            assert again.head.get("sluice-replay") == "complete"
        assert single_again.values(170) == list(range(30, 200))
        assert [message["data"] for message in category_again.values(180)] == list(range(20, 200))
    # One who is cut before its first event comes back to the same place: its id came before.
    cut = Subscriber(rig, second, "/hub/streams/a-1?position=40")
    place = cut.client.body.event().decode()
    assert place.startswith("id: ") and place.endswith(".39\n\n")
    publish(second, "a-1", 200)
    assert single_again.values(1) == [200] and category_again.values(1)[0]["data"] == 200
    assert second.metrics().sum("sluice_hub_gaps_total") == 0


def test_messages_come_from_the_store(rig, tmp_path):
    gateway = start(rig, tmp_path / "hub.db")
    for at in range(0, 1000, 100):
        publish_many(gateway, "a-1", at, 100)
        publish_many(gateway, "a-2", at, 100)
        publish_many(gateway, "b-1", at, 100)
    publish(gateway, "c-1", 1)
    publish_many(gateway, "b-1", 1000, 100)

    def positions(query):
        status, answer = ask(gateway, f"/hub/{query}")
        assert status == 200
        return [message["position" if query.startswith("streams") else "globalPosition"] for message in answer]

    assert positions("streams/a-1/messages?batch=-1") == list(range(1000))
    assert positions("streams/a-1/messages?position=150&batch=70") == list(range(150, 220))
    assert positions("streams/a-1/messages?position=990") == list(range(990, 1000))
    assert positions("streams/a-1/messages?position=1000") == []
    assert positions("categories/a/messages?batch=3") == [1, 2, 3]
    assert positions("categories/a/messages?position=195&batch=8") == [195, 196, 197, 198, 199, 200, 301, 302]
    assert len(positions("categories/a/messages?batch=-1")) == 2000
    members = [positions(f"categories/a/messages?batch=-1&member={member}&size=2") for member in (0, 1)]
    assert sorted(members[0] + members[1]) == positions("categories/a/messages?batch=-1")
    assert ask(gateway, "/hub/streams/a-1/last")[1]["position"] == 999
    assert ask(gateway, "/hub/streams/a-1/last?type=T")[1]["data"] == 999
    assert ask(gateway, "/hub/streams/a-1/last?type=none")[0] == 404
    assert ask(gateway, "/hub/streams/c-1/last")[1]["data"] == 1
    assert ask(gateway, "/hub/streams/none-1/last")[0] == 404
    assert ask(gateway, "/hub/streams/none-1/messages")[1] == []


def test_since_a_time_that_is_in_the_store(rig, tmp_path):
    gateway = start(rig, tmp_path / "hub.db")
    publish_many(gateway, "a-1", 0, 150)
    publish_many(gateway, "a-1", 150, 150)
    messages = ask(gateway, "/hub/streams/a-1/messages?batch=-1")[1]
    time = messages[150]["time"]
    first = next(message["position"] for message in messages if message["time"] >= time)
    for target in ("streams/a-1?", "categories/a?", "subscribe?stream=a-1&stream=b-1&"):
        subscriber = Subscriber(rig, gateway, f"/hub/{target}since={time}")
        assert subscriber.head.get("sluice-replay") == "complete"
        data = [one if target.startswith("streams") else one["data"] for one in subscriber.values(300 - first)]
        assert data == list(range(first, 300))


def test_what_the_store_has_let_go_is_a_gap(rig, tmp_path):
    gateway = start(rig, tmp_path / "hub.db", "hub-store-events=1000")
    publish_many(gateway, "a-1", 0, 3000, batch=100)
    oldest = ask(gateway, "/hub/streams/a-1/messages?batch=1")[1][0]["position"]
    assert 1500 < oldest < 2500
    single = Subscriber(rig, gateway, "/hub/streams/a-1?position=5")
    category = Subscriber(rig, gateway, "/hub/categories/a?position=5")
    for subscriber in (single, category):
        assert subscriber.head.get("sluice-replay") == "gap"
        gap = subscriber.event()
        assert gap["event"] == "sluice.gap"
        assert json.loads(gap["data"])["got"].endswith(f".{oldest if subscriber is single else oldest + 1}")
    assert single.values(3000 - oldest) == list(range(oldest, 3000))
    assert [message["data"] for message in category.values(3000 - oldest)] == list(range(oldest, 3000))
    earliest = Subscriber(rig, gateway, "/hub/streams/a-1?position=earliest")
    assert earliest.values(3000 - oldest) == list(range(oldest, 3000))
    status, _ = ask(gateway, "/hub/streams/a-1?position=5&require=complete", Accept="text/event-stream")
    assert status == 412
    assert gateway.metrics().sum("sluice_hub_gaps_total") == 3


def test_slow_clients_hold_up_nobody_and_get_all(rig, tmp_path):
    gateway = start(rig, tmp_path / "hub.db", "client-sndbuf=4k", "hub-event-size=64k", threads="2")
    text = "x" * 1000
    for at in range(0, 4000, 400):
        publish(gateway, "a-1", *[f"{i} {text}" for i in range(at, at + 400)])
    slow = [Subscriber(rig, gateway, "/hub/streams/a-1?position=0", rcvbuf=4096) for _ in range(20)]
    leaving = [Subscriber(rig, gateway, "/hub/categories/a?position=1", rcvbuf=4096) for _ in range(20)]
    live = Subscriber(rig, gateway, "/hub/streams/b-1")
    for i in range(100):
        publish(gateway, "b-1", i)
    assert live.values(100) == list(range(100))
    for subscriber in leaving:
        subscriber.client.close()
    for subscriber in slow[:5]:
        assert [int(one.split()[0]) for one in subscriber.values(4000)] == list(range(4000))
    assert gateway.metrics().sum("sluice_hub_slow_ended_total") == 0


def test_clients_that_leave_while_their_page_is_read(rig, tmp_path):
    gateway = start(rig, tmp_path / "hub.db")
    publish_many(gateway, "a-1", 0, 2000)
    for _ in range(100):
        leaving = [rig.client(gateway) for _ in range(5)]
        for client in leaving:
            client.get("/hub/streams/a-1?position=0", "Accept: text/event-stream")
        for client in leaving:
            client.close()
    gateway.wait_metric("sluice_hub_subscribers", 0)
    assert Subscriber(rig, gateway, "/hub/streams/a-1?position=0").values(2000) == list(range(2000))


@pytest.mark.parametrize("http2", [False, True])
def test_compressed_and_over_http2(rig, tmp_path, http2):
    gateway = start(rig, tmp_path / "hub.db", "compress=gzip")
    publish_many(gateway, "a-1", 0, 3000)
    publish(gateway, "b-1", *range(100))
    done = subprocess.run(["curl", "-sS", "--compressed", *(["--http2-prior-knowledge"] if http2 else []),
                           f"{gateway.url}/hub/categories/a/messages?batch=-1"],
                          capture_output=True, timeout=DEADLINE_S, check=True)
    assert [message["data"] for message in json.loads(done.stdout)] == list(range(3000))
    events = subprocess.Popen(["curl", "-sSN", "--compressed", *(["--http2-prior-knowledge"] if http2 else []),
                               "-H", "Accept: text/event-stream", f"{gateway.url}/hub/streams/a-1?position=0"],
                              stdout=subprocess.PIPE, text=True)
    data = (int(line[6:]) for line in events.stdout if line.startswith("data: "))
    assert [next(data) for _ in range(3000)] == list(range(3000))
    events.kill()
    events.wait()
    events.stdout.close()


def test_a_drain_in_the_midst_ends_readers_where_they_are(rig, tmp_path):
    gateway = start(rig, tmp_path / "hub.db", threads="2")
    publish_many(gateway, "a-1", 0, 20_000)
    readers = [Subscriber(rig, gateway, "/hub/streams/a-1?position=0", rcvbuf=4096) for _ in range(30)]
    gateway.signal(signal.SIGTERM)
    ends = []
    for reader in readers:
        text = reader.client.body.rest().decode()
        data = [int(one) for one in re.findall("^data: (.*)$", text, re.MULTILINE)]
        assert data == list(range(len(data)))
        assert re.search("retry: [0-9]+\n\n$", text)
        ends.append(re.findall("^id: .*[.]([0-9]+)$", text, re.MULTILINE)[-1:] or ["-1"])
        assert int(ends[-1][0]) == len(data) - 1
    gateway.wait_exit()


class Disk:
    """The first half of the events in a store's file, which can be made unreadable."""

    def __init__(self, file):
        self.file = file
        data = file.read_bytes()
        leaves = [at for at in range(PAGE_BYTES, len(data), PAGE_BYTES) if data[at] == TABLE_LEAF]
        self.pages = {at: data[at:at + PAGE_BYTES] for at in leaves[len(leaves) // 8:len(leaves) // 2]}

    def _write(self, page):
        with open(self.file, "r+b") as file:
            for at, was in self.pages.items():
                file.seek(at)
                file.write(page or was)

    def fail(self):
        self._write(b"\xee" * PAGE_BYTES)

    def work(self):
        self._write(None)


def on_a_failing_disk(rig, tmp_path, **options):
    """A gateway whose hub has 20,000 events, most of them on the disk alone."""
    first = start(rig, tmp_path / "hub.db")
    publish_many(first, "a-1", 0, 20_000)
    first.stop()
    disk = Disk(tmp_path / "hub.db")
    gateway = start(rig, tmp_path / "hub.db", **options)
    disk.fail()
    return gateway, disk


def test_a_disk_that_fails_is_waited_for(rig, tmp_path):
    gateway, disk = on_a_failing_disk(rig, tmp_path)
    live = Subscriber(rig, gateway, "/hub/streams/a-1")
    reader = Subscriber(rig, gateway, "/hub/streams/a-1?position=earliest")
    begun = reader.values(1000)
    publish(gateway, "a-1", 20_000)
    assert live.values(1) == [20_000]
    disk.work()
    assert begun + reader.values(19_001) == list(range(20_001))


def test_a_disk_that_fails_for_long_ends_its_readers_alone(rig, tmp_path):
    gateway, disk = on_a_failing_disk(rig, tmp_path, threads="2")
    live = Subscriber(rig, gateway, "/hub/streams/a-1")
    reader = Subscriber(rig, gateway, "/hub/streams/a-1?position=earliest")
    begun = reader.values(1000)
    refused = []
    asking = threading.Thread(
        target=lambda: refused.append(ask(gateway, "/hub/streams/a-1?position=5000", Accept="text/event-stream")[0]))
    asking.start()
    # Of a standby that gets a member whose events cannot be read the head has left already.
    owner, standby = rig.client(gateway), rig.client(gateway)
    for client, wait in ((owner, "no"), (standby, "yes")):
        client.get(f"/hub/categories/a?group=g&size=1&position=5000&wait={wait}", "Accept: text/event-stream")
        wait_until(lambda: (ask(gateway, "/hub/groups/g")[1] or {}).get("members", [{}])[0].get("owner"), "an owner")
    assert standby.read_head().status == 200
    owner.close()
    rest = reader.client.body.until_abort().decode()
    begun += [json.loads(data) for data in re.findall("^data: (.*)$", rest, re.MULTILINE)]
    last_id = re.findall("^id: (.*)$", rest, re.MULTILINE)[-1]
    asking.join()
    assert refused == [503]
    assert b"event:" not in standby.body.until_abort()
    assert begun == list(range(len(begun))) and len(begun) < 20_000
    wait_until(lambda: gateway.metrics().sum("sluice_hub_store_unread_total") == 3, "the count")
    assert gateway.metrics().sum("sluice_closes_total", side="self", reason="unavailable") == 2  # of those with a head
    publish(gateway, "a-1", 20_000)
    assert live.values(1) == [20_000]
    disk.work()
    again = Subscriber(rig, gateway, "/hub/streams/a-1", last_id)
    assert begun + again.values(20_001 - len(begun)) == list(range(20_001))


def test_a_bad_place_on_the_disk_holds_up_only_who_reads_there(rig, tmp_path):
    gateway, disk = on_a_failing_disk(rig, tmp_path)
    stuck = Subscriber(rig, gateway, "/hub/streams/a-1?position=earliest")
    stuck.values(1000)
    assert Subscriber(rig, gateway, "/hub/streams/a-1?position=12000").values(8000) == list(range(12_000, 20_000))
    assert gateway.metrics().sum("sluice_hub_store_unread_total") == 0, "the other one has been given up before"
    disk.work()
