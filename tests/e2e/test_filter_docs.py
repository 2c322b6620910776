"""The examples of docs/filters.md: each file, with its script where it has one, prints what comes out
of what goes in, and what a script has to say."""

import pathlib
import re
import subprocess

import pytest

from harness.gateway import binary

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs/filters.md"
EXAMPLE = re.compile(r"^### ([^\n]+)\n(?:(?!^#).)*?^```toml\n(.*?)^```\n\n(?:```lua\n(.*?)^```\n\n)?"
                     r"```in\n(.*?)^```\n\n```out\n(.*?)^```\n(?:\n```stderr\n(.*?)^```\n)?",
                     re.MULTILINE | re.DOTALL)
EXAMPLES = EXAMPLE.findall(DOCS.read_text())


def test_there_are_some():
    assert len(EXAMPLES) == 7
    assert sum(1 for example in EXAMPLES if example[2]) == 3


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example[0])
def test_an_example(example, tmp_path):
    _, toml, lua, given, expected, said = example
    path = tmp_path / "sluice.toml"
    path.write_text(toml)
    if lua:
        (tmp_path / re.search(r'script = "(.*?)"', toml)[1]).write_text(lua)
    done = subprocess.run([binary(), "--filter-test", path], input=given, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr, done.stdout) == (0, said, expected)


def test_only_those_that_are_named(tmp_path):
    path = tmp_path / "sluice.toml"
    path.write_text('[[filter]]\nname = "a"\nactions = [ { drop = true } ]\n'
                    '[[filter]]\nname = "b"\nactions = [ { data = "b" } ]\n')
    done = subprocess.run([binary(), "--filter-test", path, "--filters", "b"], input="data: x\n\n", text=True,
                          capture_output=True, check=False)
    assert done.stdout == "data: b\n\n"


@pytest.mark.parametrize("what", ["pass", "drop", "end"])
def test_an_event_that_is_too_long_goes_as_in_the_gateway(rig, tmp_path, what):
    path = tmp_path / "sluice.toml"
    path.write_text(f'event-hold = "8k"\non-oversize = "{what}"\nfilters = ["a"]\n'
                    '[[filter]]\nname = "a"\nactions = [ { redact = "secret", with = "*" } ]\n')
    events = [b'data: "secret"\n\n', b'data: "%b secret"\n\n' % (b"x" * 100_000), b'data: "secret, too"\n\n']
    done = subprocess.run([binary(), "--filter-test", path], input=b"".join(events), capture_output=True, check=True)
    client, server = rig.stream("--config", str(path))
    try:
        for event in events:
            for at in range(0, len(event), 4096):
                server.chunk(event[at:at + 4096])
        if what != "end":
            server.end_chunks()
    except (BrokenPipeError, ConnectionResetError):
        assert what == "end"  # the gateway has left in the middle of the event
    assert client.body.rest() == done.stdout
    assert done.stdout.startswith(b'data: "*"\n\n') and done.stdout.count(b"secret") == (what == "pass")
    assert done.stdout.endswith(b'data: "*, too"\n\n') == (what != "end")
    assert done.stderr.startswith(b"an event of 100017 bytes is longer than event-hold, so it ")


def test_a_mistake_has_its_place(tmp_path):
    path = tmp_path / "sluice.toml"
    path.write_text('[[filter]]\nname = "a"\nactions = [ { redact = "(", with = "" } ]\n')
    done = subprocess.run([binary(), "--check", "--demo", "--config", path], text=True, capture_output=True, check=False)
    assert done.returncode == 2
    assert f"{path}:3:24: filter a: actions: redact: '('" in done.stderr
