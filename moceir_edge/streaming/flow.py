"""Files in, work, files out, at the same time: while one picture is restored, the next is decoded, the last encoded."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
Loaded = TypeVar("Loaded")


@contextmanager
def reading_ahead(items: Sequence[Item], load: Callable[[Item], Loaded]) -> Iterator[Iterator[Callable[[], Loaded]]]:
    """For each item, in order, a call that gives it loaded, or raises what loading it raised.

    One item is loaded ahead, and held, while the one before is worked on.
    """
    with ThreadPoolExecutor(1, "decode") as thread:

        def results() -> Iterator[Callable[[], Loaded]]:
            ahead = thread.submit(load, items[0]) if items else None
            for following in items[1:]:
                assert ahead is not None
                current, ahead = ahead, thread.submit(load, following)
                yield current.result
                del current  # and the picture in it
            if ahead is not None:
                yield ahead.result

        try:
            yield results()
        finally:
            thread.shutdown(wait=True, cancel_futures=True)


class WritingBehind:
    """Stores results on a thread of its own, one at a time: the next waits until the last one is stored.

    What storing raises is raised by the call after it, or at the end; what has begun is finished whatever happens,
    so that every file is whole or absent.
    """

    def __init__(self) -> None:
        self._thread, self._pending = ThreadPoolExecutor(1, "encode"), list[Future[None]]()

    def __enter__(self) -> WritingBehind:
        return self

    def store(self, store: Callable[[], None]) -> None:
        """Begin to store, after what was begun before has ended."""
        self._wait()
        self._pending.append(self._thread.submit(store))

    def _wait(self) -> None:
        if self._pending:
            self._pending.pop().result()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._wait()
        finally:
            self._thread.shutdown(wait=True)


_END = object()


def ahead(items: Iterator[Item]) -> Generator[Item, None, None]:
    """The same items; one is made on a thread of its own while the one before is worked on."""
    with ThreadPoolExecutor(1, "decode") as thread:
        pending = thread.submit(next, items, _END)
        while (item := pending.result()) is not _END:
            pending = thread.submit(next, items, _END)
            yield item  # type: ignore[misc]  # only the end is no item
