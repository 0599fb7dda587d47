"""Makes the pictures of docs/start.md anew: what the cell shows, in a real kernel, seen by a real browser.

    .venv-test/bin/python scripts/pictures.py

Colab and ngrok are played by the stand-ins of the tests; nothing in a picture is drawn by hand but the red frame.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from html import escape
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from colab_vm import new_vm  # noqa: E402
from ngrok_account import TOKEN, install_agent  # noqa: E402
from sides import Laptop  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
PAGE = """\
<!doctype html><meta charset=utf-8>
<style>
body { font: 14px/1.5 system-ui, sans-serif; margin: 16px; width: 820px }
pre { white-space: pre-wrap; font-size: 13px; margin: 6px 0 }
.framed .command, .framed button { outline: 3px solid #d93025 }
</style>
"""


def main() -> None:
    """Run the notebook twice, without access to the secret and with it, and keep what was shown."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        home = folder / "home"
        home.mkdir()
        agent = install_agent(folder / "bin")
        agent.mood(tcp=8013, public="https://your-name.ngrok-free.app")
        laptop = Laptop(home, {**os.environ, "HOME": str(home)})
        assert laptop("notebook", "colab.ipynb").returncode == 0
        vm = new_vm(folder / "vm", {**laptop.env, "PYNGROK_NGROK_PATH": str(folder / "bin" / "ngrok")})
        vm.keep(NGROK_AUTHTOKEN=None)
        for picture, token in (("access", None), ("card", TOKEN)):
            vm.keep(NGROK_AUTHTOKEN=token)
            with vm.running(home / "colab.ipynb") as outputs:
                save(picture, outputs, folder)


def save(picture: str, outputs: list[dict[str, Any]], folder: Path) -> None:
    """Photograph what stood below the cell while it ran."""
    page = folder / f"{picture}.html"
    page.write_text(PAGE + "".join(map(shown, while_running(outputs))), "utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        opened = browser.new_page(viewport={"width": 860, "height": 100}, device_scale_factor=1.25)
        opened.goto(page.as_uri())
        opened.screenshot(path=PICTURES / f"{picture}.png", full_page=True)
        browser.close()


def while_running(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was there before the cell was interrupted: up to the status line, or to the error."""
    last = max(i for i, output in enumerate(outputs) if output["output_type"] in ("display_data", "error"))
    return outputs[: last + 1]


def shown(output: dict[str, Any]) -> str:
    """An output as a notebook's page shows it."""
    if output["output_type"] == "error":
        return f"<pre>{escape(chr(10).join(output['traceback']))}</pre>"
    if output["output_type"] == "stream":
        return f"<pre>{escape(output['text'])}</pre>"
    data = output["data"]
    if "text/html" in data:
        return f'<div class="framed">{data["text/html"]}</div>'
    return f"<pre>{escape(data['text/plain'])}</pre>"


if __name__ == "__main__":
    main()
