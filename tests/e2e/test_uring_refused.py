"""Where io_uring is refused, one line says why; where memory may not be locked, sluice starts."""

import ctypes
import errno
import os
import re
import signal
import struct
import subprocess

import pytest

from harness.gateway import SANITIZER_REPORT, become, binary

FLAGS = ("--upstream", "http://127.0.0.1:9", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
SYSTEM_CALLS = {"io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427}
NOBODY = 65534

# linux/filter.h, linux/seccomp.h, linux/prctl.h
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
RETURN_ERRNO, RETURN_ALLOW = 0x00050000, 0x7FFF0000
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2


def seccomp_filter(number, error):
    """What to call in the child: one system call fails with that error from then on."""
    program = b"".join(struct.pack("HBBI", *instruction) for instruction in (
        (LOAD_WORD, 0, 0, 0),  # the system call's number
        (JUMP_IF_EQUAL, 0, 1, number),
        (RETURN, 0, 0, RETURN_ERRNO | error),
        (RETURN, 0, 0, RETURN_ALLOW),
    ))
    code = ctypes.create_string_buffer(program)
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)

    def deny():
        _ = code  # lives as long as the header that points at it
        if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header):
            raise OSError(ctypes.get_errno(), "prctl")

    return deny


@pytest.mark.parametrize("error,words", [
    (errno.EPERM, ("seccomp", "container")), (errno.ENOSYS, ("kernel",))], ids=("EPERM", "ENOSYS"))
@pytest.mark.parametrize("name", SYSTEM_CALLS)
def test_a_seccomp_filter(name, error, words):
    result = subprocess.run([binary(), *FLAGS], capture_output=True, text=True, timeout=20,
                            stdin=subprocess.DEVNULL,
                            preexec_fn=seccomp_filter(SYSTEM_CALLS[name], error))
    assert result.returncode == 1, result
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert "io_uring" in result.stderr
    for word in words:
        assert word in result.stderr
    assert name in result.stderr or error == errno.ENOSYS


# More than may be locked; and what one worker's ring leaves of it, so that its slots would take what
# the next worker's ring needs.
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
@pytest.mark.parametrize("user,flags", [
    (NOBODY, ()),
    (NOBODY - 1, ("--pool-sse-event", "4k:1880", "--pool-http-message", "512:16", "--uring-disable",
                  "huge-pages")),
], ids=("slots do not fit", "slots fit once"))
def test_little_locked_memory(user, flags):
    try:
        process = subprocess.Popen([binary(), *FLAGS, "--threads", "2", *flags], stderr=subprocess.PIPE,
                                   stdin=subprocess.DEVNULL, text=True, preexec_fn=become(user, 8 << 20))
    except PermissionError:
        pytest.skip("the binary is where nobody else may run it")
    with process:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "io_uring with" in line:  # the last line of a start
                process.send_signal(signal.SIGTERM)
        status = process.wait(20)
    errors = "".join(lines)
    assert status == 0, errors
    assert "2 workers" in errors
    assert re.search("not registered.*RLIMIT_MEMLOCK", errors), errors
    assert not SANITIZER_REPORT.search(errors), errors
