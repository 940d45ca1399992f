"""The built site behind a local server, and a headless Chromium that keeps what went wrong."""

import functools
import http.server
import os
import shutil
import threading
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="session")
def site():
    """The folder of the site that `make test-site` built."""
    if "SITE" not in os.environ:
        pytest.skip("needs a built site: make test-site")
    return Path(os.environ["SITE"])


@pytest.fixture(scope="session")
def address(site):
    handler = functools.partial(Handler, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="session")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="needs Playwright: make test-site")
    if CHROMIUM is None:
        pytest.skip(f"needs one of {', '.join(NAMES)} on the path, or CHROMIUM=/path/to/it")
    with api.sync_playwright() as playwright:
        # Root has no sandbox of its own: in a container, CI's included, the tests run as root.
        flags = ["--no-sandbox"] if os.getuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, address):
    """`visit(path, **context)` opens a page; what went wrong on any of them fails the test."""
    contexts, wrong = [], []

    def opened(path="", **settings):
        contexts.append(browser.new_context(**settings))
        page = contexts[-1].new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda m: m.type in ("error", "warning") and wrong.append(m.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("requestfailed", lambda r: wrong.append(f"failed: {r.url}"))
        page.on("response", lambda r: r.status >= 400 and wrong.append(f"{r.status}: {r.url}"))
        page.on("request", lambda r: local(r.url) or wrong.append(f"from outside: {r.url}"))
        page.goto(address + path, wait_until="networkidle")
        return page

    def local(url):
        return url.startswith((address, "data:", "blob:"))

    yield opened
    for context in contexts:
        context.close()
    assert not wrong
