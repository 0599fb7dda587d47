"""The card in a real browser: what is copied, where the links lead, and that no value becomes markup."""

from __future__ import annotations

import functools
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from colab_remote.runtime import Runtime
from colab_remote.runtime.card import connect_command, everything, html

FINGERPRINT = "SHA256:" + "A" * 42 + "E"
EVIL = '"><img src=x onerror="window.evil=1"></pre><script>window.evil=1</script>\'&amp;'


def runtime(workdir: str = "/content", note: str = "", name: str = "colab") -> Runtime:
    """What launch returns, with these values in its record."""
    record = {
        "name": name,
        "user": "root",
        "workdir": workdir,
        "fingerprint": FINGERPRINT,
        "tunnel": "ngrok",
        "address": {"scheme": "ssh", "host": "0.tcp.ngrok.io", "port": 12345, "note": note},
        "took": {"sshd": 0.2, "tunnel": 1.4},
        "pid": 1,
    }
    return Runtime(Path("/nowhere"), record)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("needs a browser: apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """A folder that a server on this machine shows; the clipboard needs one."""
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def opened(browser: Browser, site: str, folder: Path, card: str, *permissions: str, dark: bool = False) -> Page:
    """A page that shows the card."""
    (folder / "card.html").write_text(f"<!doctype html><meta charset=utf-8><body>{card}")
    context = browser.new_context(color_scheme="dark" if dark else "light", permissions=list(permissions))
    page = context.new_page()
    page.goto(f"{site}/card.html")
    return page


def test_the_button_copies_the_line_to_type(browser: Browser, site: str, tmp_path: Path) -> None:
    made = runtime("/content/내 folder")
    page = opened(browser, site, tmp_path, html(made), "clipboard-read", "clipboard-write")
    page.get_by_role("button", name="copy").click()
    page.get_by_role("button", name="copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == connect_command(made)


def test_where_the_clipboard_is_closed_the_line_is_selected(browser: Browser, site: str, tmp_path: Path) -> None:
    made = runtime()
    (tmp_path / "inner.html").write_text(f"<!doctype html><meta charset=utf-8><body>{html(made)}")
    frame = '<iframe src="inner.html" sandbox="allow-scripts" allow="clipboard-write \'none\'" width=900></iframe>'
    page = opened(browser, site, tmp_path, frame)
    inner = page.frame_locator("iframe")
    inner.get_by_role("button", name="copy").click()
    inner.get_by_role("button", name="copied").or_(inner.get_by_text("press Ctrl-C")).wait_for()
    assert page.frames[1].evaluate("getSelection().toString()").strip() == connect_command(made)


def test_the_links_open_the_editors_in_the_working_directory(browser: Browser, site: str, tmp_path: Path) -> None:
    page = opened(browser, site, tmp_path, html(runtime("/content/a b")))
    links = {link.inner_text(): link.get_attribute("href") for link in page.get_by_role("link").all()}
    assert links == {
        "VS Code": "vscode://vscode-remote/ssh-remote+colab/content/a%20b",
        "Cursor": "cursor://vscode-remote/ssh-remote+colab/content/a%20b",
        "Windsurf": "windsurf://vscode-remote/ssh-remote+colab/content/a%20b",
    }


def test_all_of_it_is_one_selectable_text(browser: Browser, site: str, tmp_path: Path) -> None:
    made = runtime(note="free plans carry about 1 GB")
    page = opened(browser, site, tmp_path, html(made))
    page.get_by_text("All of it as text").click()
    shown = page.locator(".all").inner_text()
    assert shown.strip() == everything(made).strip()
    for part in (connect_command(made), FINGERPRINT, "vscode://", "HostName 0.tcp.ngrok.io", "shutdown", "1 GB"):
        assert part in shown


@pytest.mark.parametrize("dark", [False, True])
def test_no_value_becomes_markup_light_or_dark(browser: Browser, site: str, tmp_path: Path, dark: bool) -> None:
    made = runtime(workdir=f"/content/{EVIL}", note=EVIL, name=EVIL)
    page = opened(browser, site, tmp_path, html(made), dark=dark)
    assert page.evaluate("window.evil") is None
    assert page.locator("img, script").count() == 0
    assert page.locator(".command").inner_text() == connect_command(made)
    colours = "getComputedStyle(document.querySelector('.colab-remote')).color"
    assert page.evaluate(colours) == ("rgb(232, 234, 237)" if dark else "rgb(32, 33, 36)")
