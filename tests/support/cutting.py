"""A proxy in front of a database that cuts connections where a test says."""

import socket
import threading
from contextlib import suppress

QUIET_SECONDS = 0.5
"""A server that says nothing for so long has answered."""


class Proxy:
    """Forwards connections of a loopback port to another; ``cut`` says at which words of a client, and when."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.word = b""
        self.after = True
        """Whether the word still reaches the server; its answer reaches nobody."""
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, word: bytes, *, after: bool) -> None:
        """Cut the next connection that says a word."""
        self.word, self.after = word, after

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            gone = threading.Event()
            threading.Thread(target=self._ask, args=(client, server, gone), daemon=True).start()
            threading.Thread(target=self._answer, args=(client, server, gone), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket, gone: threading.Event) -> None:
        with suppress(OSError):
            while said := client.recv(65536):
                if self.word and self.word in said:
                    self.word = b""
                    self.cuts += 1
                    gone.set()
                    if self.after:
                        server.sendall(said)
                        # What it answers is read, and thrown away.
                        server.settimeout(QUIET_SECONDS)
                        while server.recv(65536):
                            pass
                    break
                server.sendall(said)
        _close(client, server)

    def _answer(self, client: socket.socket, server: socket.socket, gone: threading.Event) -> None:
        with suppress(OSError):
            while not gone.is_set() and (said := server.recv(65536)):
                if gone.is_set():
                    return
                client.sendall(said)
        if not gone.is_set():
            _close(client, server)


def _close(*sockets: socket.socket) -> None:
    for one in sockets:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
