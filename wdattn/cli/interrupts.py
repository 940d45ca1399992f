"""Ctrl-C while modules are imported."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

INTERRUPTED = "interrupted: the same command goes on from here"


@contextlib.contextmanager
def ends_at_once() -> Iterator[None]:
    """Within it Ctrl-C ends the process with one line.

    A KeyboardInterrupt may come out of an import as any other error, or not at all. Nothing may be
    under way that has to be put in order.
    """
    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if not ours:  # Ctrl-C is ignored, or somebody else's business
        yield
        return
    signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(*_) -> None:
    with contextlib.suppress(OSError):
        os.write(2, f"{INTERRUPTED}\n".encode())
    os._exit(130)
