"""What sluice says at its start of io_uring is what a kernel of that version has: all of it, and no more."""

import platform
import re

from harness import Gateway, wait_until

SINCE = {
    "registered-ring-fd": (5, 18),
    "multishot-accept": (5, 19),
    "multishot-recv": (6, 0),
    "single-issuer": (6, 0),
    "defer-taskrun": (6, 1),
    "min-wait": (6, 12),
    "recv-budget": (6, 17),
}


def test_the_kernel_gives_what_its_version_promises(capsys):
    gateway = Gateway("--upstream", "http://127.0.0.1:9")
    try:
        line = wait_until(lambda: re.search(r"^.*; io_uring with (.*?)(?:, without (.*?))?;.*$", gateway.errors(),
                                            re.MULTILINE), "the line that says what is in use")
        gateway.stop()
    finally:
        gateway.kill()
    with capsys.disabled():
        print("\n" + line.group(0))
    in_use, missing = ({name for name in (names or "").split() if name in SINCE} for names in line.groups())
    version = tuple(int(number) for number in re.match(r"(\d+)\.(\d+)", platform.release()).groups())
    assert in_use == {name for name, since in SINCE.items() if since <= version}
    assert missing == set(SINCE) - in_use
