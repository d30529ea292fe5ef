"""A program that stands for Android: it speaks adb's protocol over TCP, and has a folder in place of /sdcard.

Debian's client is driven against it, so what is tested is the client's real behaviour up to the device's shell.
Commands of Android (am, pm, pidof) are scripts of ours; the app is the Python runner. Protocol: AOSP's
packages/modules/adb, protocol.txt, SYNC.TXT and shell_protocol.h.
"""

from __future__ import annotations

import queue
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from moceir_edge.resources import resource

CNXN, AUTH, OPEN, OKAY, CLSE, WRTE = (int.from_bytes(word, "little") for word in (
    b"CNXN", b"AUTH", b"OPEN", b"OKAY", b"CLSE", b"WRTE"
))  # fmt: skip
VERSION, MOST = 0x01000001, 1 << 16
BANNER = b"device::ro.product.name=test;ro.product.model=Test;ro.product.device=test;features=shell_v2"
STDOUT, STDERR, EXIT = 1, 2, 3

APP = """#!/bin/sh
# am: starts and stops the app, which is the Python runner.
sd={sdcard}
case $1 in
start)
    [ -e "$sd/installed" ] || {{ echo "Error type 3"; echo "Error: Activity class does not exist."; exit 1; }}
    shift 4 # start -W -n ACTIVITY
    while [ $# -gt 0 ]; do
        case $2 in bundle) bundle=$3 ;; out) out=$3 ;; key) key=$3 ;; *) more="$more --$2 $3" ;; esac
        shift 3
    done
    echo "$more${{key:+ --key $key}}" >"$sd/extras"
    (
        exec </dev/null >/dev/null 2>"$sd/app.log"
        trap '' HUP
        {python} {runner} unpack "$bundle" "$sd/cache" >"$sd/where" && cd "$sd" &&
            {python} {runner} profile --folder "$(cat where)" --any-device --out "$out" $more
        code=$?
        rm -rf "$sd/cache"
        [ $code = 0 ] || tail -n 1 "$sd/app.log" >"${{out%/*}}/error.txt"
        rm -f "$sd/pid"
    ) &
    echo $! >"$sd/pid"
    echo "Starting: Intent"
    echo "Status: ok"
    ;;
force-stop)
    [ ! -e "$sd/pid" ] || kill "$(cat "$sd/pid")" 2>/dev/null
    rm -rf "$sd/pid" "$sd/cache"
    ;;
esac
"""
PM = '#!/bin/sh\n[ -e {sdcard}/installed ] && echo "package:/data/app/base.apk"\n'
PIDOF = "#!/bin/sh\ncat {sdcard}/pid 2>/dev/null\n"


class Android:
    """One device on a port of loopback.

    trusted: whether it takes the client's key; answers: whether it says anything.
    """

    def __init__(self, folder: Path, *, trusted: bool = True, answers: bool = True) -> None:
        self.sdcard = folder / "sdcard"
        self._commands = folder / "bin"
        self._commands.mkdir(parents=True)
        self.sdcard.mkdir()
        self._trusted, self._answers = trusted, answers
        runner = resource("devices") / "runner"
        for name, text in (("am", APP), ("pm", PM), ("pidof", PIDOF)):
            path = self._commands / name
            path.write_text(text.format(sdcard=self.sdcard, python=sys.executable, runner=runner))
            path.chmod(0o755)
        self._connections: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.serial = f"127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def install(self) -> None:
        """The app."""
        (self.sdcard / "installed").touch()

    def unplug(self) -> None:
        """End every connection; new ones are taken."""
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._connections.clear()

    def close(self) -> None:
        """It goes away."""
        self._server.close()
        self.unplug()
        subprocess.run([self._commands / "am", "force-stop"], check=True)

    def app_runs(self) -> bool:
        """Whether it was started, and has not ended."""
        with suppress(FileNotFoundError):
            return bool((self.sdcard / "pid").read_text().strip())
        return False

    def files(self) -> list[str]:
        """Below the app's folder."""
        folder = self.sdcard / "Android"
        return sorted(path.name for path in folder.rglob("*") if path.is_file())

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                self._connections.append(connection)
                threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with suppress(OSError, EOFError):
            Transport(connection, self).converse(trusted=self._trusted, answers=self._answers)

    def local(self, path: str) -> Path:
        """Where a path of the device is here."""
        assert path.startswith("/sdcard/")
        return self.sdcard / path.removeprefix("/sdcard/")

    def run(self, command: str) -> subprocess.CompletedProcess[bytes]:
        """A command of its shell."""
        path = f"{self._commands}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        words = ["/bin/sh", "-c", command.replace("/sdcard", str(self.sdcard))]
        return subprocess.run(words, check=False, capture_output=True, env={"PATH": path}, stdin=subprocess.DEVNULL)


class Transport:
    """One connection: messages in, streams of them out."""

    def __init__(self, connection: socket.socket, device: Android) -> None:
        self._connection = connection
        self._device = device
        self._writing = threading.Lock()
        self._streams: dict[int, Stream] = {}

    def converse(self, *, trusted: bool, answers: bool) -> None:
        """Until the connection ends."""
        while True:
            command, first, second, data = self._receive()
            if command in (CNXN, AUTH) and answers:
                self.send(*((CNXN, VERSION, MOST, BANNER) if trusted else (AUTH, 1, 0, bytes(20))))
            elif command == OPEN:
                stream = Stream(self, remote=first, number=len(self._streams) + 1)
                self._streams[stream.number] = stream
                self.send(OKAY, stream.number, first, b"")
                threading.Thread(
                    target=stream.serve, args=(data.rstrip(b"\0").decode(), self._device), daemon=True
                ).start()
            elif command in (WRTE, OKAY, CLSE) and second in self._streams:
                self._streams[second].take(command, data)
                if command == WRTE:
                    self.send(OKAY, second, first, b"")

    def send(self, command: int, first: int, second: int, data: bytes) -> None:
        """One message."""
        head = struct.pack("<6I", command, first, second, len(data), sum(data) & 0xFFFFFFFF, command ^ 0xFFFFFFFF)
        with self._writing:
            self._connection.sendall(head + data)

    def _receive(self) -> tuple[int, int, int, bytes]:
        command, first, second, size, _, _ = struct.unpack("<6I", self._exactly(24))
        return command, first, second, self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._connection.recv(size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data


class Stream:
    """One service that the client opened: a command of the shell, or files."""

    def __init__(self, transport: Transport, *, remote: int, number: int) -> None:
        self.number = number
        self._transport, self._remote = transport, remote
        self._came: queue.Queue[bytes] = queue.Queue()
        self._may_write = threading.Semaphore(1)
        self._rest = b""

    def take(self, command: int, data: bytes) -> None:
        """A message for this stream; an empty one ends it."""
        if command == OKAY:
            self._may_write.release()
        else:
            self._came.put(data if command == WRTE else b"")

    def serve(self, service: str, device: Android) -> None:
        """Do what the client asks for, and close."""
        with suppress(OSError, EOFError):
            if service.startswith("shell"):
                self._shell(device.run(service.partition(":")[2]))
            elif service == "sync:":
                self._sync(device)
            self._transport.send(CLSE, self.number, self._remote, b"")

    def _shell(self, ended: subprocess.CompletedProcess[bytes]) -> None:
        for kind, data in ((STDOUT, ended.stdout), (STDERR, ended.stderr), (EXIT, bytes([ended.returncode % 256]))):
            self._write(struct.pack("<BI", kind, len(data)) + data)

    def _sync(self, device: Android) -> None:
        answers: dict[bytes, Callable[[Path], None]] = {b"STAT": self._stat, b"SEND": self._take, b"RECV": self._give}
        while True:
            kind, size = struct.unpack("<4sI", self._read(8))
            if kind == b"QUIT":
                return
            path = self._read(size).decode()
            answers[kind](device.local(path.rpartition(",")[0] if kind == b"SEND" else path))

    def _stat(self, path: Path) -> None:
        facts = path.stat() if path.exists() else None
        values = (facts.st_mode, facts.st_size, int(facts.st_mtime)) if facts else (0, 0, 0)
        self._write(struct.pack("<4s3I", b"STAT", *values))

    def _take(self, path: Path) -> None:
        with path.open("wb") as file:
            while True:
                kind, size = struct.unpack("<4sI", self._read(8))
                if kind == b"DONE":
                    break
                file.write(self._read(size))
        self._write(struct.pack("<4sI", b"OKAY", 0))

    def _give(self, path: Path) -> None:
        with path.open("rb") as file:
            while data := file.read(1 << 14):
                self._write(struct.pack("<4sI", b"DATA", len(data)) + data)
        self._write(struct.pack("<4sI", b"DONE", 0))

    def _read(self, size: int) -> bytes:
        while len(self._rest) < size:
            data = self._came.get()
            if not data:
                raise EOFError
            self._rest += data
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def _write(self, data: bytes) -> None:
        for start in range(0, len(data), MOST):
            self._may_write.acquire()
            self._transport.send(WRTE, self.number, self._remote, data[start : start + MOST])
