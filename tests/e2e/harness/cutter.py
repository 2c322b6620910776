"""A relay on the way to a gateway, on which connections can be cut."""

import contextlib
import socket
import struct
import threading


class Cutter:
    """Passes bytes on between its port and another one."""

    def __init__(self, port):
        self._target = ("127.0.0.1", port)
        self._sockets = []
        self._lock = threading.Lock()
        self._threads = []
        self._mended = threading.Event()
        self._mended.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)

    @contextlib.contextmanager
    def cut(self):
        """Resets all connections. As long as the context lasts, new ones wait."""
        self._mended.clear()
        self._reset_all()
        yield
        self._mended.set()

    def _reset_all(self):
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for sock in sockets:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with contextlib.suppress(OSError):  # its thread wakes up; the last close resets it
                sock.shutdown(socket.SHUT_RD)
            sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._mended.set()
        self._reset_all()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _start(self, run, *arguments):
        self._threads.append(threading.Thread(target=run, args=arguments, daemon=True))
        self._threads[-1].start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                self._mended.wait()
                gateway = socket.create_connection(self._target)
                with self._lock:
                    self._sockets += [client, gateway]
                self._start(self._pass_on, client, gateway)
                self._start(self._pass_on, gateway, client)

    @staticmethod
    def _pass_on(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
