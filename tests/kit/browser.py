"""A real browser for pages that are files: what goes wrong in them, what they ask for, what they look like.

    with opened(path, dark=True, width=PHONE) as page:
        assert page.errors == page.requests == []
        page.screenshot("page.png")

It is the system's Chromium, without a screen, driven by Playwright; where one is missing the test
is skipped. It has no fonts but DejaVu's, whose letters are wider than most, as in many containers: a
page must not rely on others. One page at a time: Playwright cannot be begun twice in a thread.
"""

import atexit
import contextlib
import functools
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIET = (  # nothing that a browser does of its own accord may be taken for what a page does
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
PATIENCE = 120_000  # milliseconds, on a machine that is busy with other things
DESKTOP, PHONE = 1280, 390
HEIGHTS = {PHONE: 844}
OWN = ("data:", "blob:")  # what a page brings with it
FONTS = Path("/usr/share/fonts")
BOXES = Path(__file__).with_name("boxes.js").read_text(encoding="utf-8")


@dataclass
class Opened:
    """A page that is open: ``tab`` is Playwright's.

    ``errors`` are those in its console and those that no script of its own caught, ``requests`` the
    addresses that it asked for beside itself; both grow with what happens in it.
    """

    tab: Any
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @property
    def width(self) -> int:
        """How wide it is, in CSS pixels; more than its window where one must scroll sideways."""
        return int(self.tab.evaluate("document.documentElement.scrollWidth"))

    @property
    def text(self) -> str:
        """What can be read in it."""
        return str(self.tab.inner_text("body"))

    def boxes(self) -> dict[str, list[str]]:
        """Return the texts that are ``cut``, the ``overlaps`` of two of them, and which boxes scroll ``sideways``."""
        found: dict[str, list[str]] = self.tab.evaluate(BOXES)
        return found

    def enliven(self) -> int:
        """Unfold what is folded, wait until each chart is interactive, and return how many there are."""
        self.tab.evaluate("document.querySelectorAll('details').forEach((folded) => { folded.open = true; })")
        charts = self.tab.locator("[data-chart]").all()
        for chart in charts:
            chart.scroll_into_view_if_needed()
            chart.locator(".live:not(.waiting) svg").wait_for()
        self.tab.evaluate("scrollTo(0, 0)")
        return len(charts)

    def style(self, selector: str, name: str) -> str:
        """Return a computed CSS property of the first element that a selector finds."""
        return str(self.tab.eval_on_selector(selector, f"element => getComputedStyle(element)['{name}']"))

    def screenshot(self, file: str | Path) -> None:
        """Save a picture of the whole page (PNG)."""
        self.tab.screenshot(path=str(file), full_page=True)

    def pdf(self, file: str | Path) -> None:
        """Print it, on A4, with its backgrounds."""
        self.tab.pdf(path=str(file), format="A4", print_background=True)


@contextlib.contextmanager
def opened(
    path: str | Path, *, dark: bool = False, width: int = DESKTOP, scripts: bool = True, printed: bool = False
) -> Iterator[Opened]:
    """Open the file at ``path`` in a window of that width; with ``printed`` laid out as on paper.

    There is no network, whatever the page asks for.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install -e '.[test]'")
    with playwright.sync_playwright() as driver:
        browser = launched(driver)
        try:
            context = browser.new_context(
                viewport={"width": width, "height": HEIGHTS.get(width, 800)},
                color_scheme="dark" if dark else "light",
                java_script_enabled=scripts,
                offline=True,
                service_workers="block",
            )
            tab = context.new_page()
            tab.set_default_timeout(PATIENCE)
            if printed:
                tab.emulate_media(media="print")
            page, address = Opened(tab), Path(path).resolve().as_uri()
            _listen(page, context, address)
            tab.goto(address, wait_until="load")
            tab.wait_for_load_state("networkidle")
            yield page
        finally:
            browser.close()


def launched(driver: Any) -> Any:
    """Return a browser that Playwright has started."""
    return driver.chromium.launch(
        executable_path=_chromium(), args=list(QUIET), env={**os.environ, "FONTCONFIG_FILE": _fonts()}
    )


@functools.cache
def _fonts() -> str:
    """Return a file that lets a program find the fonts of DejaVu, and no others."""
    font = next(FONTS.rglob("DejaVuSans.ttf"), None)
    if font is None:
        pytest.skip("needs the fonts DejaVu: apt-get install fonts-dejavu-core")
    folder = Path(tempfile.mkdtemp(prefix="fonts-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    text = f"<fontconfig><dir>{font.parent}</dir><cachedir>{folder}</cachedir></fontconfig>"
    (folder / "fonts.conf").write_text(text, encoding="utf-8")
    return str(folder / "fonts.conf")


def _chromium() -> str:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    return found


def _listen(page: Opened, context: Any, address: str) -> None:
    """Note errors and requests from now on."""

    def asked(request: Any) -> None:
        if request.url.split("#")[0] != address and not request.url.startswith(OWN):
            page.requests.append(request.url)

    def told(message: Any) -> None:
        if message.type in {"error", "warning"}:
            page.errors.append(message.text)

    context.on("request", asked)
    page.tab.on("websocket", lambda socket: page.requests.append(socket.url))
    page.tab.on("console", told)
    page.tab.on("pageerror", lambda error: page.errors.append(str(error)))
