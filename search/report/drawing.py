"""The chart library, in a process of its own: where it lacks address space or meets a bad text, it aborts its process.

This file is also the program of that process. It then has nothing of this package on its path.
"""

import atexit
import base64
import contextlib
import json
import re
import subprocess
import sys
import threading
from typing import Any

FIRST = {"data": {"values": []}, "mark": "point"}
SCALE = 2  # px of a PNG for each of the chart


class DrawingError(Exception):
    """A chart that could not be drawn; the message says why."""


def preload() -> None:
    """Start the process of the chart library now, which takes most of a second; where that fails, drawing will say."""
    with contextlib.suppress(OSError):
        _PAINTER.start()


def svg_of(spec: str) -> str:
    """Return a specification of Vega-Lite as SVG. Raises DrawingError, as all of these do."""
    numbers: dict[str, int] = {}  # Vega counts the ids of all charts that its process has drawn
    pattern = r'((?:\bid="|url\(#|href="#)[a-z_]+)(\d+)'
    return re.sub(
        pattern,
        lambda match: f"{match[1]}{numbers.setdefault(match[2], len(numbers) + 1)}",
        _PAINTER.ask("svg", spec),
    )


def png_of(svg: str) -> bytes:
    """Return SVG as a PNG, which is not made small yet."""
    return base64.b64decode(_PAINTER.ask("png", svg))


def script() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script, about 0.9 MB."""
    return _PAINTER.ask("script", "window.vegaEmbed = vegaEmbed;")


class _Painter:
    """The other process, started when the first chart is drawn, and again where it died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._turn = threading.Lock()

    def ask(self, what: str, text: str) -> str:
        with self._turn:
            try:
                answer = self._answer(json.dumps([what, text]))
            except OSError as error:
                raise DrawingError(f"the chart library cannot be run: {error.strerror or error}") from None
        if not answer:
            raise DrawingError(
                "the chart library died; it needs much address space, which `ulimit -v` or a batch system can limit"
            )
        good, text = json.loads(answer)
        if not good:
            raise DrawingError(text)
        return str(text)

    def start(self) -> "subprocess.Popen[str]":
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(  # noqa: S603 our own program
                [sys.executable, "-P", __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                encoding="utf-8",
                start_new_session=True,  # Ctrl-C is for us
            )
            atexit.register(self.close)
        return self._process

    def _answer(self, request: str) -> str:
        process = self.start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(request + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self.close()
        return answer

    def close(self) -> None:
        if self._process is not None:
            atexit.unregister(self.close)
            self._process.kill()
            self._process.communicate()
            self._process = None


_PAINTER = _Painter()


def _serve() -> None:
    import vl_convert

    drawers: dict[str, Any] = {
        "svg": lambda text: vl_convert.vegalite_to_svg(text, allowed_base_urls=[]),
        "png": lambda text: base64.b64encode(vl_convert.svg_to_png(text, scale=SCALE)).decode(),
        "script": vl_convert.javascript_bundle,
    }
    with contextlib.suppress(ValueError):
        vl_convert.vegalite_to_svg(FIRST, allowed_base_urls=[])  # starts it, before the first chart is there
    for line in sys.stdin:
        what, text = json.loads(line)
        try:
            answer = [True, drawers[what](text)]
        except ValueError as error:
            answer = [False, (str(error).splitlines() or ["unknown"])[0]]
        print(json.dumps(answer), flush=True)  # noqa: T201 the answer to who asked


if __name__ == "__main__":
    _serve()
