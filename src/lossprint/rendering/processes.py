"""Work spread over child processes that are started afresh and never outlive their parent.

Children are spawned on every system, because a forked renderer would inherit threads and locks
that no longer work. Each is fed over a pipe of its own: when the parent goes, however it goes, the
pipe closes and the child ends after the piece in hand.
"""

import signal
import threading
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

State = TypeVar("State")
Chunk = TypeVar("Chunk")
Result = TypeVar("Result")

_RESULT, _READY, _ERROR = "result", "ready", "error"
_SECONDS_TO_FINISH = 20.0


class WorkerError(RuntimeError):
    """A child process failed; the message is its error's."""


def spread(
    next_chunk: Callable[[Chunk | None], Chunk | None],
    *,
    workers: int,
    start: Callable[[], State],
    handle: Callable[[State, Chunk], Iterable[Result]],
) -> Generator[Result, None, None]:
    """Results of all chunks, in the order in which they are done.

    Args:
        next_chunk: given the chunk that a child finished last (None at first), the one it shall
            take next, or None when there is none left for it.
        workers: number of child processes; 0 does everything in this one.
        start: makes a child's state, once, in the child. Like `handle` it must be picklable.
        handle: does a chunk, yielding its results.

    Raises:
        WorkerError: if a child raises or dies.
    """
    if workers == 0:
        state, chunk = start(), next_chunk(None)
        while chunk is not None:
            yield from handle(state, chunk)
            chunk = next_chunk(chunk)
        return
    context = get_context("spawn")
    connections: dict[Connection, Any] = {}
    previous: dict[Connection, Chunk | None] = {}
    try:
        with _interrupts_ignored():  # children inherit this; the parent alone answers Ctrl-C
            for _ in range(workers):
                ours, theirs = context.Pipe()
                child = context.Process(target=_work, args=(theirs, start, handle), daemon=True)
                child.start()
                theirs.close()
                connections[ours], previous[ours] = child, None
        running = set(connections)
        while running:
            for ready in wait(list(running)):
                assert isinstance(ready, Connection)
                try:
                    kind, content = ready.recv()
                except (EOFError, ConnectionResetError):
                    child = connections[ready]
                    child.join(_SECONDS_TO_FINISH)
                    raise WorkerError(
                        f"a rendering process died (exit code {child.exitcode})"
                    ) from None
                if kind == _RESULT:
                    yield content
                elif kind == _ERROR:
                    message, details = content
                    error = WorkerError(message)
                    error.add_note(details)
                    raise error
                else:
                    chunk = next_chunk(previous[ready])
                    if chunk is None:
                        running.discard(ready)
                        ready.close()
                    else:
                        previous[ready] = chunk
                        ready.send(chunk)
    finally:
        for connection, child in connections.items():
            connection.close()
            child.join(_SECONDS_TO_FINISH)
            if child.is_alive():
                child.terminate()
                child.join()


def _work(
    connection: Connection,
    start: Callable[[], State],
    handle: Callable[[State, Chunk], Iterable[Result]],
) -> None:
    try:
        try:
            state = start()
            while True:
                connection.send((_READY, None))
                for result in handle(state, connection.recv()):
                    connection.send((_RESULT, result))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise
        except Exception as error:
            connection.send((_ERROR, (str(error) or repr(error), traceback.format_exc())))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # the parent needs no more


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # signals belong to the main thread
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
