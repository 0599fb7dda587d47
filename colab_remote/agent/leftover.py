"""What a job made that is no output, so that nothing brings it home."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colab_remote.agent.jobs import job_starts
from colab_remote.agent.serve import Call, Method
from colab_remote.both.ignore import NEVER, SUSPECTS, matcher, rooted
from colab_remote.both.whole import TEMPORARY

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

_MOST = 20  # entries that are told


def leftover(call: Call) -> dict[str, Any]:
    """The project's top entries in which files were written since `job` began that are no outputs: files and bytes.

    Also the outputs that are `links` out of the project, which nothing follows.
    """
    asked = call.arguments
    folder, outputs = Path(asked["folder"]), rooted(asked["outputs"])
    began = {identity: started for started, identity in job_starts(asked["folder"])}.get(asked["job"])
    if began is None:
        return {"left": [], "links": []}
    found: dict[str, list[int]] = defaultdict(list)
    for path, facts in _files(folder, matcher([*SUSPECTS, *outputs])):
        if facts.st_mtime >= began:
            found[path.split("/")[0] + ("/" if "/" in path else "")].append(facts.st_size)
    rows = sorted(((name, len(sizes), sum(sizes)) for name, sizes in found.items()), key=lambda row: -row[2])
    return {"left": rows[:_MOST], "links": list(islice(_links_out(folder, matcher(outputs)), _MOST))}


def _files(root: Path, without: GitIgnoreSpec) -> Iterator[tuple[str, os.stat_result]]:
    for base, folders, names in os.walk(root):
        prefix = os.path.relpath(base, root) + "/" if base != str(root) else ""
        folders[:] = [name for name in folders if name not in NEVER and not without.match_file(f"{prefix}{name}/")]
        for name in names:
            path = f"{prefix}{name}"
            if not name.startswith(TEMPORARY) and not without.match_file(path):
                try:
                    yield path, os.lstat(os.path.join(base, name))
                except FileNotFoundError:
                    continue


def _links_out(root: Path, outputs: GitIgnoreSpec) -> Iterator[str]:
    project = os.path.realpath(root)
    for base, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in NEVER]
        for place in filter(os.path.islink, (os.path.join(base, name) for name in (*folders, *names))):
            path, leads = os.path.relpath(place, root), os.path.realpath(place)
            if not f"{leads}/".startswith(f"{project}/") and any(map(outputs.match_file, (path, f"{path}/"))):
                yield path


METHODS: dict[str, Method] = {"output_left": leftover}
