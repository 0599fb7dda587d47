"""What this laptop knows of jobs, also of those whose runtime is gone.

A job's folder at home holds `job.json`, its facts when they were last heard, and `log`, a prefix of the runtime's.
It lies in the project as `.colab-remote/jobs/ID`, and outside one among our own records, where an index has a line
for each job.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from colab_remote.both.jobrecord import ID, OVER, find
from colab_remote.both.whole import read_json, write_json
from colab_remote.errors import Refused
from colab_remote.laptop.places import make_private, records


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it was last heard of. `folder` is on the runtime, `seconds` how long it ran by that clock.

    The VM that ran it may live though it is lost: `vm_lives`.

    One that was resumed says from which `checkpoint`, the which `leg` of a run it is, and which job was the `first`.
    `pin` tells the project's state when it began (see `Pin`), `vault` what of it lies there.
    """

    id: str
    name: str
    host: str
    command: str
    state: str
    kind: str = "run"
    project: str = ""
    folder: str = ""
    tty: bool = False
    seconds: float = 0.0
    log_bytes: int = 0
    vm_lives: bool = False
    code: int | None = None
    signal: int | None = None
    first: str = ""
    leg: int = 1
    checkpoint: str = ""
    pin: dict[str, str] = field(default_factory=dict)
    vault: str = ""

    @property
    def run(self) -> str:
        """The id of the run's first job: a run that was resumed has several, its legs."""
        return self.first or self.id

    @property
    def over(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in OVER

    @property
    def exit_code(self) -> int:
        """What a command that waited for it ends with: the job's own code, or 128 and the signal, as in a shell."""
        return 128 + self.signal if self.signal else self.code or 0


def job_of(facts: dict[str, Any], host: str) -> Job | None:
    """The job in an agent's or a file's `facts`; None where they are none."""
    known = {each.name: facts[each.name] for each in fields(Job) if each.name in facts}
    try:
        job = Job(**{**known, "host": host})
    except TypeError:
        return None
    return job if ID.fullmatch(str(job.id)) and isinstance(job.name, str) and isinstance(job.command, str) else None


def home_of(job: Job, project: Path | None = None) -> Path:
    """The job's folder at home: where the index says, else in the project whose root is given, else ours."""
    index = _index(job.id)
    if found := _home(index):
        return found
    home = project / ".colab-remote" / "jobs" / job.id if project else index.with_suffix("")
    make_private(index.parent)
    write_json(index, {"folder": str(home)})
    return home


def root_of(job: Job) -> Path | None:
    """The folder of the project that a job was started in, None for one outside a project, or gone from here."""
    home = _home(_index(job.id))
    inside = home is not None and home.parent.name == "jobs" and home.parent.parent.name == ".colab-remote"
    return home.parents[2] if home and inside and home.is_dir() else None


def remember(job: Job, project: Path | None = None) -> Path:
    """Keep what was heard of a job; its folder at home."""
    home = make_private(home_of(job, project))
    if known(home) != job:
        write_json(home / "job.json", asdict(job))
    return home


def known(home: Path) -> Job | None:
    """The job that a folder at home tells of, None where it tells of none."""
    try:
        facts = read_json(home / "job.json")
    except (OSError, ValueError):
        return None
    return job_of(facts, str(facts.get("host", "")))


def all_known() -> list[Job]:
    """All jobs that this laptop has heard of and whose folders are still there, oldest first."""
    found = (known(home) for home in map(_home, sorted(records().glob("jobs/*.json"))) if home)
    return [job for job in found if job]


def choose(word: str | None, jobs: Iterable[Job]) -> Job:
    """The job that `word` means among `jobs`, the latest without one. Raises Refused for none or several."""
    by_id = {job.id: job for job in jobs}
    if word is None:
        if not by_id:
            raise Refused("no job is known here", "`colab-remote run` and `train` start one")
        return by_id[max(by_id)]
    found = find(word, (asdict(job) for job in by_id.values()))
    if len(found) == 1:
        return by_id[found[0]["id"]]
    if not found:
        raise Refused(f"no job is called `{word}`", "`colab-remote jobs` lists them")
    raise Refused(f"`{word}` may mean {len(found)} jobs", ", ".join(f"{job['name']} ({job['id']})" for job in found))


def _home(index: Path) -> Path | None:
    try:
        return Path(read_json(index)["folder"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _index(identity: str) -> Path:
    return records() / "jobs" / f"{identity}.json"
