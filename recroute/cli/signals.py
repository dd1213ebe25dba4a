"""What Ctrl-C and SIGTERM do: while libraries are imported they end the process, later they end it in order.

An interrupt in the middle of an import may come out as any error, and there is nothing to tidy up yet.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

ENDED = (signal.SIGINT, signal.SIGTERM)


def leave_at_once() -> None:
    """Until `leave_in_order`, and when all is done; a signal that is ignored, as under nohup, stays so."""
    for number in ENDED:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler, _unwind):
            signal.signal(number, _leave)


def leave_in_order() -> None:
    """From now on Ctrl-C is a KeyboardInterrupt, and SIGTERM unwinds all blocks and exits with 143."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGTERM) is _leave:
        signal.signal(signal.SIGTERM, _unwind)


def _leave(number: int, frame: FrameType | None) -> None:
    if number == signal.SIGINT:
        os.write(2, b"recroute: interrupted\n")
    os._exit(128 + number)


def _unwind(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)  # a second one does not wait
    raise SystemExit(128 + number)
