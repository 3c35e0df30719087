"""Waits that end: by the event, or with words after their time."""
import time


class Patience(Exception):
    """What was waited for did not come in time."""


def wait_until(what, condition, patience_s, period_s=0.1):
    """`condition()` once it is true. Raises Patience, naming `what`, after `patience_s`."""
    end = time.monotonic() + patience_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Patience(f"{what}: not within {patience_s:g} s")
        time.sleep(period_s)
