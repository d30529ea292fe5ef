"""A connection that is slow, or breaks: python link.py HOST PORT [--rate BYTES] [--cut BYTES --part PART --once FILE].

For ssh's ProxyCommand. rate: bytes a second towards the computer. cut: the connection ends when so many went there, and
some of them have arrived in the file PART; only if FILE is not there yet, and it is made then.
"""

from __future__ import annotations

import argparse
import os
import socket
import threading
import time
from pathlib import Path


def main() -> None:
    """Carry bytes both ways until one side ends."""
    words = argparse.ArgumentParser()
    words.add_argument("host")
    words.add_argument("port", type=int)
    words.add_argument("--rate", type=float)
    words.add_argument("--cut", type=int)
    words.add_argument("--once", type=Path)
    words.add_argument("--part", type=Path)
    given = words.parse_args()
    with socket.create_connection((given.host, given.port)) as connection:
        threading.Thread(target=back, args=(connection,), daemon=True).start()
        there(connection, given)


def back(connection: socket.socket) -> None:
    """From the computer; its end is ours."""
    while data := connection.recv(1 << 16):
        os.write(1, data)
    os._exit(0)


def there(connection: socket.socket, given: argparse.Namespace) -> None:
    """To the computer, at the rate, up to the cut."""
    sent = 0
    while data := os.read(0, 1 << 12):
        connection.sendall(data)
        sent += len(data)
        if given.rate:
            time.sleep(len(data) / given.rate)
        if given.cut and sent >= given.cut and not given.once.exists():
            while not (given.part.exists() and given.part.stat().st_size):
                time.sleep(0.05)
            given.once.touch()
            return


if __name__ == "__main__":
    main()
