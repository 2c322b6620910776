"""An upstream in a process of its own, which can be stopped, continued and killed. Each event of
its streams is sent in two halves, so that whatever happens to it happens within one."""

import pathlib
import signal
import subprocess
import sys
import time

from .streams import event
from .upstream import ScriptedUpstream
from .wire import DEADLINE_S

HALF_AN_EVENT_S = 0.02


def serve(server, request):
    """/NAME/COUNT: a stream of so many events, resumable."""
    first = int(request.get("last-event-id", "-1")) + 1
    server.start_events()
    for i in range(first, int(request.target.rsplit("/", 1)[1])):
        text = event(request.target, i)
        for half in (text[:len(text) // 2], text[len(text) // 2:]):
            server.chunk(half)
            time.sleep(HALF_AN_EVENT_S)
    server.end_chunks()


class UpstreamProcess:
    def __init__(self, port=0):
        self.process = subprocess.Popen(
            [sys.executable, "-B", "-m", __name__, str(port)], cwd=pathlib.Path(__file__).parents[1],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait(DEADLINE_S)

    def close(self):
        self.kill()
        self.process.stdin.close()
        self.process.stdout.close()


if __name__ == "__main__":
    print(ScriptedUpstream(serve, port=int(sys.argv[1])).port, flush=True)
    sys.stdin.read()  # until the test has ended, in whatever way
