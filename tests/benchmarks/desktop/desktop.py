"""An owner at a desktop of his own: an X server without a screen, and keys and mouse moved by a program."""
import ctypes
import ctypes.util
import os
import time

import processes

STOP_PATIENCE_S = 10
_SHIFT_KEYCODE = 50  # the left shift key of the evdev and pc105 keyboards: typed alone it does nothing


class Desktop:
    """An Xvfb of our own. Its environment lets programs be on it."""

    def __init__(self, log_path):
        reading, writing = os.pipe()
        with open(log_path, "ab") as log:
            # Without -noreset the server forgets the last input whenever its last client leaves.
            self._server = processes.start(
                ["Xvfb", "-displayfd", str(writing), "-screen", "0", "800x600x24", "-ac", "-noreset",
                 "-nolisten", "tcp"],
                pass_fds=[writing], stdout=log, stderr=log)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            number = pipe.readline().strip()  # it says its number when it serves; at its end, nothing
        if not number:
            raise RuntimeError(f"Xvfb did not start: see {log_path}")
        self.display = f":{number}"

    @property
    def environment(self):
        return {"DISPLAY": self.display}

    def close(self):
        processes.stop(self._server, STOP_PATIENCE_S)


class Owner:
    """Moves the mouse and presses keys through the XTEST extension, on a connection that stays open."""

    def __init__(self, display):
        self._x = ctypes.CDLL(ctypes.util.find_library("X11") or "libX11.so.6")
        self._test = ctypes.CDLL(ctypes.util.find_library("Xtst") or "libXtst.so.6")
        self._x.XOpenDisplay.restype = ctypes.c_void_p
        self._connection = ctypes.c_void_p(self._x.XOpenDisplay(display.encode()))
        if not self._connection:
            raise RuntimeError(f"cannot connect to the display {display}")
        self._turn = 0

    def act(self):
        """One input; mouse and keyboard in turns. Returns when it was sent, on CLOCK_MONOTONIC, in ns."""
        self._turn += 1
        if self._turn % 2:
            step = 3 if self._turn % 4 == 1 else -3
            self._test.XTestFakeRelativeMotionEvent(self._connection, step, step, 0)
        else:
            for pressed in (1, 0):
                self._test.XTestFakeKeyEvent(self._connection, _SHIFT_KEYCODE, pressed, 0)
        sent_at = time.monotonic_ns()  # until the flush nothing has left this process
        self._x.XFlush(self._connection)
        return sent_at

    def close(self):
        self._x.XCloseDisplay(self._connection)
