"""The examples of docs/filters.md: each file, given what goes in, prints what comes out."""

import pathlib
import re
import subprocess

import pytest

from harness.gateway import binary

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs/filters.md"
EXAMPLE = re.compile(r"^### (.+?)\n.*?^```toml\n(.*?)^```\n\n```in\n(.*?)^```\n\n```out\n(.*?)^```\n",
                     re.MULTILINE | re.DOTALL)
EXAMPLES = EXAMPLE.findall(DOCS.read_text())


def test_there_are_some():
    assert len(EXAMPLES) == 4


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example[0])
def test_an_example(example, tmp_path):
    _, toml, given, expected = example
    path = tmp_path / "sluice.toml"
    path.write_text(toml)
    done = subprocess.run([binary(), "--filter-test", path], input=given, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", expected)


def test_only_those_that_are_named(tmp_path):
    path = tmp_path / "sluice.toml"
    path.write_text('[[filter]]\nname = "a"\nactions = [ { drop = true } ]\n'
                    '[[filter]]\nname = "b"\nactions = [ { data = "b" } ]\n')
    done = subprocess.run([binary(), "--filter-test", path, "--filters", "b"], input="data: x\n\n", text=True,
                          capture_output=True, check=False)
    assert done.stdout == "data: b\n\n"


def test_a_mistake_has_its_place(tmp_path):
    path = tmp_path / "sluice.toml"
    path.write_text('[[filter]]\nname = "a"\nactions = [ { redact = "(", with = "" } ]\n')
    done = subprocess.run([binary(), "--check", "--demo", "--config", path], text=True, capture_output=True, check=False)
    assert done.returncode == 2
    assert f"{path}:3:24: filter a: actions: redact: '('" in done.stderr
