"""Groups whose members the hub deals out: leases, acknowledgements, fencing, and what is kept."""

import json
import os
import random
import re
import signal
import subprocess

import pytest

from harness.hub import ask
from harness.wire import wait_until

JSON = "application/json"


def start(rig, *settings, threads="1", flags=()):
    return rig.gateway(None, "--route", ",".join(["path=/hub", "hub=main", *settings]), "--threads", threads, *flags)


def publish(gateway, stream, count=1):
    body = json.dumps([{"data": stream}] * count)
    status, answer = ask(gateway, f"/hub/streams/{stream}", "POST", body, Content_Type=JSON)
    assert status == 201
    return answer["globalPosition"]


def ack(gateway, lease, position, token=None):
    target = f"/hub/groups/{lease['group']}/members/{lease['member']}?token={token or lease['token']}"
    return ask(gateway, target, "PUT", json.dumps({"position": position}))


def group(gateway, name="g"):
    status, answer = ask(gateway, f"/hub/groups/{name}")
    assert status == 200
    return answer


class Member:
    def __init__(self, rig, gateway, query, path="/hub/categories/a", status=200):
        self.client = rig.client(gateway)
        self.client.get(f"{path}?{query}", "Accept: text/event-stream")
        self.head = self.client.read_head()
        assert self.head.status == status, self.head.status
        if status != 200:
            self.problem = json.loads(self.client.body.rest())

    def block(self):
        while (block := self.client.body.event()).startswith(b":"):
            pass
        return dict(line.split(": ", 1) for line in block.decode().split("\n")[:-2])

    def take(self):
        """Its lease, which is the first event."""
        block = self.block()
        assert block["event"] == "sluice.lease", block
        self.lease = json.loads(block["data"])
        return self.lease

    def event(self):
        while "data" not in (block := self.block()):
            assert block.keys() <= {"id"}, block
        return json.loads(block["data"])

    def events(self, count):
        return [(event["stream"], event["globalPosition"]) for event in (self.event() for _ in range(count))]

    def close(self):
        self.client.close()


def owned(gateway, count, name="g"):
    wait_until(lambda: sum(m["owner"] is not None for m in group(gateway, name)["members"]) == count,
               f"{count} members with owners")


def join(rig, gateway, size, query=""):
    member = Member(rig, gateway, f"group=g&size={size}{query}")
    member.take()
    return member


@pytest.mark.parametrize("threads", ["1", "2"])
def test_members_share_a_category_and_go_on_where_they_acknowledged(rig, threads):
    gateway = start(rig, threads=threads)
    for i in range(40):
        publish(gateway, f"a-{i}")
    members = [join(rig, gateway, 4) for _ in range(4)]
    assert sorted(m.lease["member"] for m in members) == [0, 1, 2, 3]
    tokens = [m.lease["token"] for m in members]
    assert tokens == sorted(set(tokens))
    fields = dict(part.split("=") for part in members[1].head.get("sluice-lease").split(", "))
    assert fields == {name: str(members[1].lease[name]) for name in ("member", "size", "token", "position")}
    shares = {}
    for m in members:
        target = f"/hub/categories/a/messages?member={m.lease['member']}&size=4"
        share = [(message["stream"], message["globalPosition"]) for message in ask(gateway, target)[1]]
        assert m.events(len(share)) == share
        shares[m.lease["member"]] = share
    assert sum(len(share) for share in shares.values()) == 40
    # One acknowledges a part and leaves: the next owner has what comes behind it, and the same member.
    left = members[2]
    number = left.lease["member"]
    done = shares[number][2][1]
    assert ack(gateway, left.lease, done) == (
        200, {"group": "g", "member": number, "token": left.lease["token"], "position": done})
    left.close()
    owned(gateway, 3)
    heir = join(rig, gateway, 4)
    assert heir.lease["member"] == number and heir.lease["position"] == done
    assert heir.lease["token"] > max(tokens)
    assert heir.events(len(shares[number]) - 3) == shares[number][3:]
    # The former owner is fenced off, and late acknowledgements take nothing back.
    assert ack(gateway, left.lease, 40)[0] == 409
    assert ack(gateway, heir.lease, 40)[1]["position"] == 40
    assert ack(gateway, heir.lease, 1)[1]["position"] == 40
    state = group(gateway)
    assert state["size"] == 4 and state["categories"] == ["a"] and state["streams"] == [] and state["lagIsWhole"]
    for m in state["members"]:
        assert m["lag"] == (0 if m["member"] == number else len(shares[m["member"]]))
        assert m["owner"] == "127.0.0.1"
        assert m["token"] == next(one.lease["token"] for one in [*members[:2], heir, members[3]]
                                  if one.lease["member"] == m["member"])
    gateway.wait_metric("sluice_hub_acks_fenced_total", 1)
    gateway.wait_metric("sluice_hub_leases", 4)


@pytest.mark.parametrize("threads", ["1", "2"])
def test_who_waits_gets_the_next_free_member(rig, threads):
    gateway = start(rig, "heartbeat=200ms", threads=threads)
    publish(gateway, "a-1")
    first = join(rig, gateway, 1)
    assert first.events(1) == [("a-1", 1)]
    assert "wait=yes" in Member(rig, gateway, "group=g&size=1", status=409).problem["detail"]
    standbys = [Member(rig, gateway, "group=g&size=1&wait=yes") for _ in range(3)]
    assert all(one.head.get("sluice-lease") is None for one in standbys)
    for one in standbys:
        assert one.client.body.event().startswith(b":"), "it is told that the hub is there"
    for _ in range(3):
        first.close()
        first = wait_for_lease(standbys)
        assert first.lease["position"] == 0
        assert first.events(1) == [("a-1", 1)]
        standbys.remove(first)


def wait_for_lease(standbys):
    """The standby that has got the lease."""
    got = []
    wait_until(lambda: got.extend(one for one in standbys if has_lease(one)) or got, "a lease")
    assert len(got) == 1
    return got[0]


def has_lease(one):
    """Reads heartbeats until the lease; whoever has none yet is read by turns."""
    block = one.client.body.event()
    if block.startswith(b":"):
        return False
    fields = dict(line.split(": ", 1) for line in block.decode().split("\n")[:-2])
    assert fields["event"] == "sluice.lease"
    one.lease = json.loads(fields["data"])
    return True


@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_lease_ends_where_nothing_is_acknowledged(rig, threads):
    gateway = start(rig, "hub-lease=1s", threads=threads)
    idle = join(rig, gateway, 1)
    standby = Member(rig, gateway, "group=g&size=1&wait=yes")
    publish(gateway, "a-1", 2)
    assert [global_position for _, global_position in idle.events(2)] == [1, 2]
    over = idle.block()
    assert over["event"] == "sluice.lease-over" and json.loads(over["data"])["token"] == idle.lease["token"]
    assert idle.client.body.rest() == b""
    standby.take()
    assert standby.events(2) == [("a-1", 1), ("a-1", 2)]
    assert ack(gateway, idle.lease, 2)[0] == 409
    assert ack(gateway, standby.lease, 2)[0] == 200
    gateway.wait_metric("sluice_hub_leases_expired_total", 1)
    # It has nothing to acknowledge, so its lease lasts: the clock of another one shows that time has passed.
    other = Member(rig, gateway, "group=other&size=1&position=latest", path="/hub/categories/b")
    other.take()
    publish(gateway, "b-1")
    other.events(1)
    assert other.block()["event"] == "sluice.lease-over"
    assert group(gateway)["members"][0]["token"] == standby.lease["token"]


def test_a_group_begins_where_its_first_member_says(rig):
    gateway = start(rig)
    for name, query, expected in (("all", "", 0), ("early", "&position=earliest", 0), ("late", "&position=latest", None),
                                  ("here", "&position=3", 2)):
        last = publish(gateway, "a-1", 5)
        position = last if expected is None else expected
        member = Member(rig, gateway, f"group={name}&size=2{query}")
        assert member.take()["position"] == position
        # The others begin there, too, whatever they say.
        publish(gateway, "b-1")
        assert Member(rig, gateway, f"group={name}&size=2&position=latest").take()["position"] == position
    assert Member(rig, gateway, "group=beyond&size=2&position=99", status=400).problem["status"] == 400
    assert ask(gateway, "/hub/groups/beyond")[0] == 404


def test_another_size_begins_where_the_last_member_was(rig):
    gateway = start(rig)
    for i in range(20):
        publish(gateway, f"a-{i}")
    members = [join(rig, gateway, 2) for _ in range(2)]
    assert ack(gateway, members[0].lease, 15)[0] == 200
    assert ack(gateway, members[1].lease, 7)[0] == 200
    Member(rig, gateway, "group=g&size=3", status=409)
    members[0].close()
    members[1].close()
    owned(gateway, 0)
    more = [join(rig, gateway, 3) for _ in range(3)]
    assert [m.lease["position"] for m in more] == [7] * 3
    assert ack(gateway, members[0].lease, 16)[0] == 409
    assert sorted(e for m in more for e in m.events(share_of(gateway, m))) == sorted(
        (f"a-{i}", i + 1) for i in range(7, 20))


@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_group_without_owners_can_be_deleted(rig, tmp_path, threads):
    file = tmp_path / "hub.db"
    gateway = start(rig, f"hub-store=sqlite:{file}", threads=threads)
    for i in range(4):
        publish(gateway, f"a-{i}")
    assert ask(gateway, "/hub/groups/g", "DELETE")[0] == 404
    member = join(rig, gateway, 3)
    assert ack(gateway, member.lease, 3)[0] == 200
    assert ask(gateway, "/hub/groups/g", "DELETE")[0] == 409
    member.close()
    owned(gateway, 0)
    assert ask(gateway, "/hub/groups/g", "DELETE") == (204, None)
    assert ask(gateway, "/hub/groups/g")[0] == 404
    assert ack(gateway, member.lease, 4)[0] == 404
    gateway.stop()
    gateway = start(rig, f"hub-store=sqlite:{file}", threads=threads)
    assert ask(gateway, "/hub/groups/g")[0] == 404
    # One of that name is another one: it may have another size, and begins anew.
    again = join(rig, gateway, 1)
    assert again.lease["position"] == 0 and again.lease["token"] > member.lease["token"]
    assert again.events(4) == [(f"a-{i}", i + 1) for i in range(4)]


def share_of(gateway, member):
    lease = member.lease
    target = f"/hub/categories/a/messages?member={lease['member']}&size={lease['size']}&position={lease['position'] + 1}"
    return len(ask(gateway, target)[1])


def test_a_client_that_leaves_before_its_lease_comes_keeps_no_member(rig, tmp_path):
    """The lease waits for the disk, so there is time to leave."""
    gateway = start(rig, f"hub-store=sqlite:{tmp_path / 'hub.db'}", threads="2")
    join(rig, gateway, 40).close()
    for _ in range(40):
        client = rig.client(gateway)
        client.get("/hub/categories/a?group=g&size=40", "Accept: text/event-stream")
        client.close()
    members = [join(rig, gateway, 40, "&wait=yes") for _ in range(40)]
    assert len({m.lease["member"] for m in members}) == 40


def test_what_a_member_has_missed_is_told(rig):
    gateway = start(rig, "hub-history-events=10")
    publish(gateway, "a-1", 5)
    join(rig, gateway, 1).close()
    owned(gateway, 0)
    publish(gateway, "a-1", 20)
    Member(rig, gateway, "group=g&size=1&require=complete", status=412)
    late = Member(rig, gateway, "group=g&size=1&wait=yes")
    assert late.head.get("sluice-replay") in ("gap", None)  # its member may still have had its owner
    assert late.take()["position"] == 0
    gap = late.block()
    assert gap["event"] == "sluice.gap" and json.loads(gap["data"])["wanted"] == 1
    assert [place for _, place in late.events(10)] == list(range(16, 26))


def test_over_http2_with_compression(rig):
    gateway = start(rig, "compress=gzip")
    publish(gateway, "a-1", 3)
    curl = subprocess.Popen(["curl", "-sSN", "--http2-prior-knowledge", "--compressed", "-H", "Accept: text/event-stream",
                             f"{gateway.url}/hub/categories/a?group=g&size=1"], stdout=subprocess.PIPE)
    text = b""
    while text.count(b"data: ") < 4:
        text += curl.stdout.read1()
    curl.kill()
    curl.wait()
    curl.stdout.close()
    assert text.startswith(b"event: sluice.lease\ndata: {")
    owned(gateway, 0)


@pytest.mark.parametrize("status, path, query", [
    (400, "/hub/categories/a", "group=g"),
    (400, "/hub/categories/a", "group=g&size=0"),
    (400, "/hub/categories/a", "group=g&size=-1"),
    (400, "/hub/categories/a", "group=g&size=1001"),
    (400, "/hub/categories/a", "group=g&size=x"),
    (400, "/hub/categories/a", "group=&size=1"),
    (400, "/hub/categories/a", "group=%00&size=1"),
    (400, "/hub/categories/a", "group=g&size=2&member=1"),
    (400, "/hub/categories/a", "group=g&size=2&since=0"),
    (400, "/hub/categories/a", "group=g&size=2&last_event_id=1.1"),
    (400, "/hub/categories/a", "group=g&size=2&wait=maybe"),
    (400, "/hub/categories/a", "group=g&size=2&wait=yes&require=complete"),
    (400, "/hub/categories/a", "wait=yes"),
    (400, "/hub/categories/a/messages", "group=g&size=2"),
    (400, "/hub/streams/a-1", "group=g&size=2"),
    (400, "/hub/categories/a", "position=1&since=0"),
])
def test_bad_groups(rig, status, path, query):
    gateway = start(rig)
    assert Member(rig, gateway, query, path=path, status=status).problem["status"] == status
    assert ask(gateway, "/hub/groups/g")[0] == 404


def test_bad_acknowledgements(rig):
    gateway = start(rig)
    publish(gateway, "a-1", 3)
    member = join(rig, gateway, 2)
    token, number = member.lease["token"], member.lease["member"]
    here = f"/hub/groups/g/members/{number}"
    body = '{"position": 1}'
    for status, target, method, text in (
            (400, here, "PUT", body), (400, f"{here}?token=x", "PUT", body), (400, f"{here}?token={token}", "PUT", "1"),
            (400, f"{here}?token={token}", "PUT", '{"position": 4}'), (409, f"{here}?token={token + 1}", "PUT", body),
            (409, f"{here}?token=0", "PUT", body), (409, f"/hub/groups/g/members/{1 - number}?token=0", "PUT", body),
            (404, f"/hub/groups/g/members/2?token={token}", "PUT", body),
            (404, f"/hub/groups/g/members/4294967296?token={token}", "PUT", body),
            (400, f"/hub/groups/g/members/x?token={token}", "PUT", body),
            (404, f"/hub/groups/h/members/0?token={token}", "PUT", body),
            (405, here, "GET", None), (404, "/hub/groups/g/members", "GET", None), (404, "/hub/groups", "GET", None),
            (404, f"/hub/groups/g/owners/{number}", "PUT", body)):
        assert ask(gateway, target, method, text)[0] == status, target
    assert [m["position"] for m in group(gateway)["members"]] == [0, 0]
    Member(rig, gateway, "group=g&size=2", path="/hub/categories/b", status=409)


def test_groups_are_bounded(rig):
    gateway = start(rig)
    for i in range(10):
        Member(rig, gateway, f"group=g{i}&size=1000").close()
    assert "as many groups" in Member(rig, gateway, "group=more&size=1", status=403).problem["detail"]


def test_who_may_only_read_takes_no_member(rig):
    gateway = start(rig, "hub-access=read", flags=["--route", "path=/all,hub=main"])
    Member(rig, gateway, "group=g&size=1", status=403)
    member = Member(rig, gateway, "group=g&size=1", path="/all/categories/a")
    assert ack(gateway, member.take(), 0)[0] == 403
    # Nor does a page of elsewhere, which could take members away by no more than a picture's address.
    status, _ = ask(gateway, "/all/categories/a?group=h&size=1", Accept="text/event-stream", Origin="http://evil.test")
    assert status == 403


def test_a_drain_ends_leases_and_those_who_wait(rig):
    gateway = start(rig, threads="2")
    members = [join(rig, gateway, 2) for _ in range(2)]
    standby = Member(rig, gateway, "group=g&size=2&wait=yes")
    gateway.signal(signal.SIGTERM)
    for one in (*members, standby):
        # Workers drain one after the other, so a member's place may be free before who waits is told to go.
        lease = rb"(event: sluice\.lease\ndata: .*\n\n)?" if one is standby else b""
        assert re.fullmatch(lease + rb"(id: [0-9a-f.]+\n\n)?retry: \d+\n\n", one.client.body.rest())
    assert gateway.wait_exit() == 0


@pytest.mark.parametrize("ack_mode", ["disk", "memory"])
@pytest.mark.parametrize("threads", ["1", "2"])
def test_positions_and_tokens_survive_a_kill(rig, tmp_path, threads, ack_mode):
    settings = [f"hub-store=sqlite:{tmp_path / 'hub.db'}", f"hub-ack={ack_mode}"]
    first = start(rig, *settings, threads=threads)
    for i in range(20):
        publish(first, f"a-{i}")
    members = [join(rig, first, 2) for _ in range(2)]
    for m in members:
        m.events(5)
        assert ack(first, m.lease, 5 + m.lease["member"])[0] == 200
    if ack_mode == "memory":
        # What waits for the disk is there once a publisher has waited for it.
        assert ask(first, "/hub/streams/a-1?ack=disk", "POST", "x", Content_Type="text/plain")[0] == 201
    first.kill()
    rig.gateways.remove(first)
    second = start(rig, *settings, threads=threads)
    state = group(second)
    assert state["categories"] == ["a"]
    assert [(m["position"], m["owner"]) for m in state["members"]] == [(5, None), (6, None)]
    assert ack(second, members[0].lease, 7)[0] == 409
    Member(rig, second, "group=g&size=2", path="/hub/categories/b", status=409)
    again = [join(rig, second, 2) for _ in range(2)]
    assert min(m.lease["token"] for m in again) > max(m.lease["token"] for m in members)
    assert [m.lease["position"] for m in again] == [5, 6]
    got = {e for m in again for e in m.events(share_of(second, m))}
    assert got >= {(f"a-{i}", i + 1) for i in range(6, 20)}


def test_a_full_disk_gives_no_lease_and_who_waits_gets_one_later(rig, small_disk):
    gateway = start(rig, f"hub-store=sqlite:{small_disk / 'hub.db'}", "heartbeat=200ms")
    publish(gateway, "a-1", 5)
    first = join(rig, gateway, 1)
    assert ack(gateway, first.lease, 2)[0] == 200
    standby = Member(rig, gateway, "group=g&size=1&wait=yes")
    filler = small_disk / "filler"
    with open(filler, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, 20 << 20)
    # The store learns of it by the first that it cannot write, and that is taken back.
    assert ack(gateway, first.lease, 3)[0] == 507
    assert group(gateway)["members"][0]["position"] == 2
    Member(rig, gateway, "group=new&size=1", status=507)
    assert ask(gateway, "/hub/groups/new")[0] == 404
    first.close()
    owned(gateway, 0)
    assert standby.client.body.event().startswith(b":")
    filler.unlink()
    standby.take()
    assert standby.lease["position"] == 2 and standby.lease["token"] > first.lease["token"]
    assert [place for _, place in standby.events(3)] == [3, 4, 5]


@pytest.mark.parametrize("threads", ["1", "2"])
def test_members_that_come_and_go_handle_every_event(rig, threads):
    """Most leave without having acknowledged all that they have got, and acknowledge when it is too late."""
    chance = random.Random(int(threads))
    gateway = start(rig, threads=threads)
    size, done, here, gone, number = 3, set(), [], [], 0
    for _ in range(60):
        for _ in range(chance.randint(1, 5)):
            publish(gateway, f"a-{chance.randint(0, 20)}")
        if len(here) < size:
            if gone or here:
                owned(gateway, len(here))  # those who have left are known to have
            number += 1
            here.append(join(rig, gateway, size))
            here[-1].seen = here[-1].lease["position"]
        one = chance.choice(here)
        for _ in range(min(pending(gateway, one), chance.randint(1, 20))):
            stream, place = one.events(1)[0]
            assert place > one.seen, "it is told in order, and once"
            one.seen = place
            done.add(place)
        if chance.random() < 0.5:
            assert ack(gateway, one.lease, one.seen)[0] == 200
        if chance.random() < 0.4:
            one.close()
            here.remove(one)
            gone.append(one)
        for late in gone[:]:
            latest = max((m.lease["token"] for m in here + gone if m.lease["member"] == late.lease["member"]))
            if chance.random() < 0.3 and latest != late.lease["token"]:
                assert ack(gateway, late.lease, late.seen)[0] == 409
                gone.remove(late)
    for one in here:
        one.close()
    owned(gateway, 0)
    for one in [join(rig, gateway, size) for _ in range(size)]:
        one.seen = one.lease["position"]
        done.update(place for _, place in one.events(pending(gateway, one)))
    assert done == set(range(1, publish(gateway, "b-1")))
    assert number > 10


def pending(gateway, member):
    """Events that it has not read."""
    lease = member.lease
    target = f"/hub/categories/a/messages?member={lease['member']}&size={lease['size']}&position={member.seen + 1}"
    return len(ask(gateway, target)[1])


def test_a_group_gets_what_is_on_the_disk_alone_and_its_lease_ends_for_that(rig, tmp_path):
    gateway = start(rig, f"hub-store=sqlite:{tmp_path / 'hub'}", "hub-history-events=10", "hub-lease=1s")
    last = publish(gateway, "a-1", 300)
    member = join(rig, gateway, 1)
    assert member.lease["position"] == 0
    assert [position for _, position in member.events(300)] == list(range(1, last + 1))
    assert not group(gateway)["lagIsWhole"]
    assert member.block()["event"] == "sluice.lease-over"
