"""What launch shows: in a notebook a card with links, everywhere the same as plain, selectable text."""

from __future__ import annotations

from html import escape
from typing import Any

from colab_remote.runtime import Runtime, editor_url
from colab_remote.runtime.secrets import in_colab
from colab_remote.ticket import parse_ticket

_RULE = "Colab allows SSH with a paid plan or a positive compute-unit balance; free runtimes may be ended for it."
_STOP = "colab-remote shutdown"
_EDITORS = {"VS Code": "vscode", "Cursor": "cursor", "Windsurf": "windsurf"}

# Colab marks its dark theme on the page's root; elsewhere the browser's preference counts.
_HTML = """\
<style>
.colab-remote {{ --ink: #202124; --paper: #f6f8fa; --line: #d0d7de; --link: #0b57d0;
  font: 14px/1.5 system-ui, sans-serif; color: var(--ink); max-width: 60em }}
html[theme=dark] .colab-remote {{ --ink: #e8eaed; --paper: #24292f; --line: #57606a; --link: #8ab4f8 }}
@media (prefers-color-scheme: dark) {{
  html:not([theme=light]) .colab-remote {{ --ink: #e8eaed; --paper: #24292f; --line: #57606a; --link: #8ab4f8 }} }}
.colab-remote pre {{ background: var(--paper); color: inherit; border: 1px solid var(--line); border-radius: 6px;
  padding: 8px 12px; margin: 4px 0; overflow-x: auto; user-select: text }}
.colab-remote .all {{ white-space: pre-wrap }}
.colab-remote a, .colab-remote button {{ color: var(--link) }}
.colab-remote button {{ background: none; border: 1px solid var(--line); border-radius: 6px; padding: 2px 10px;
  cursor: pointer }}
</style>
<div class="colab-remote">
<p>On your laptop: <button onclick="{copy}">copy</button></p>
<pre class="command">{command}</pre>
<p>then open {links}, or <code>ssh {name}</code><br>{note}</p>
<details><summary>Remote-SSH by hand, host key, how to stop</summary>
<pre>{config}</pre>
<p>host key {fingerprint}<br>stop: <code>!{stop}</code></p>
</details>
<details><summary>All of it as text</summary><pre class="all">{everything}</pre></details>
</div>
"""
# Where the frame may not reach the clipboard, the line is selected for a copy by hand.
_COPY = (
    "const line = this.closest('.colab-remote').querySelector('.command');"
    "getSelection().selectAllChildren(line);"
    "navigator.clipboard.writeText(line.textContent).then(() => this.textContent = 'copied',"
    " () => this.textContent = document.execCommand('copy') ? 'copied' : 'selected: press Ctrl-C')"
)


def plain(runtime: Runtime) -> str:
    """The card as text, with a line for each station and the command to type."""
    record, ticket = runtime.record, parse_ticket(runtime.ticket)
    address, took = record["address"], record["took"]
    where = f"{ticket.host}:{ticket.port}" if ticket.port else ticket.host
    return "\n".join(
        (
            f"sshd     ready  {took['sshd']:5.1f} s   ed25519 {ticket.fingerprint}",
            f"tunnel   ready  {took['tunnel']:5.1f} s   {address['tunnel']}  {where}  {address['note']}".rstrip(),
            "",
            "On your laptop:",
            f"  {connect_command(runtime)}",
            "",
        )
    )


def everything(runtime: Runtime) -> str:
    """All that the card for a notebook has, as one text: its frame may block links and the clipboard."""
    links = "\n".join(f"  {editor:<9} {link}" for editor, link in _links(runtime).items())
    config = "".join(f"  {line}\n" for line in runtime.ssh_config.splitlines())
    return (
        f"{plain(runtime)}\nThen `ssh {runtime.name}`, or one of these links:\n{links}\n\n"
        f"Remote-SSH by hand:\n{config}\nTo stop: !{_STOP}\n"
    )


def connect_command(runtime: Runtime) -> str:
    """What a person types on the laptop."""
    named = "" if runtime.name == "colab" else f" --name {runtime.name}"
    return f'colab-remote connect "{runtime.ticket}"{named}'


def html(runtime: Runtime) -> str:
    """The card for a notebook; every value that came from elsewhere is escaped."""
    links = (f'<a href="{escape(link)}">{editor}</a>' for editor, link in _links(runtime).items())
    return _HTML.format(
        copy=escape(_COPY),
        command=escape(connect_command(runtime)),
        links=" · ".join(links),
        name=escape(runtime.name),
        config=escape(runtime.ssh_config),
        fingerprint=escape(parse_ticket(runtime.ticket).fingerprint),
        note=escape(_note(runtime.record["address"])),
        stop=escape(_STOP),
        everything=escape(everything(runtime)),
    )


def _note(address: dict[str, Any]) -> str:
    """Why it is this tunnel, where there is a reason."""
    return f"{address['tunnel']}: {address['note']}" if address["note"] else ""


def _links(runtime: Runtime) -> dict[str, str]:
    return {editor: editor_url(scheme, runtime.name, runtime.ticket) for editor, scheme in _EDITORS.items()}


def rule() -> str:
    """What to know before anything is opened: Colab's own rule about SSH, on Colab."""
    return _RULE if in_colab() else ""
