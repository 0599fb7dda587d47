"""What ssh-audit says of the sshd that launch starts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from vm import Vm


def findings(audit: dict[str, Any], level: str) -> set[tuple[str, str]]:
    """The algorithms that ssh-audit has something of that level to say about, with what it says."""
    return {
        (entry["algorithm"], note)
        for kind in ("kex", "key", "enc", "mac")
        for entry in audit[kind]
        for note in entry.get("notes", {}).get(level, ())
    }


def test_no_fail_and_no_warning_but_the_one_for_what_paramiko_needs(vm: Vm) -> None:
    document = vm.up()
    audit = str(Path(sys.executable).with_name("ssh-audit"))
    done = subprocess.run(
        [audit, "--json", "--port", str(document["port"]), "127.0.0.1"], capture_output=True, text=True, timeout=60
    )
    found = json.loads(done.stdout)
    assert len(found["kex"]) >= 2, done.stdout
    assert not findings(found, "fail")
    has_ml_kem = any(entry["algorithm"].startswith("mlkem") for entry in found["kex"])
    expected = set() if has_ml_kem else {"curve25519-sha256@libssh.org"}
    assert {name for name, _ in findings(found, "warn")} == expected
    assert any(entry["algorithm"] == "ssh-ed25519" for entry in found["key"])
    assert all(entry["algorithm"] != "none" for entry in found["enc"])
