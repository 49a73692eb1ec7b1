"""A question hears Ctrl-C wherever it comes."""

from __future__ import annotations

import signal
import subprocess
import sys

_ASKED = """
import signal, sys, threading
from batchgen.cli.show.question import agreed

signal.signal(signal.SIGINT, signal.default_int_handler)
threading.Thread(target=threading.Event().wait, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
try:
    agreed("Go on?")
except KeyboardInterrupt:
    sys.exit(130)
"""
"""The signal comes to another thread, so it interrupts no read of the main thread: to that it is as
if the signal had come just before the read."""


def test_a_signal_that_interrupts_no_read_is_heard():
    running = subprocess.Popen(
        [sys.executable, "-c", _ASKED], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with running:
        question = b"Go on? [y/N]: "
        assert running.stderr.read(len(question)) == question
        running.send_signal(signal.SIGINT)
        try:
            assert running.wait(30) == 130
        finally:
            running.kill()
