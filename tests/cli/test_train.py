"""Training on the command line, against a real sshd: outputs come home while it runs, and it resumes elsewhere."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
import zipfile
from pathlib import Path

import pytest
from sides import PATIENCE, SMALL_DISK, Host, Laptop, Runtime, started_sshd, until
from vm import lose

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
# Writes a checkpoint (a zip, as torch.save's) for each step, from the one it is given on; waits where `wait` says.
TRAIN = """
import json, os, pathlib, sys, time, zipfile
begin = 0
if "-r" in sys.argv:
    with zipfile.ZipFile(sys.argv[sys.argv.index("-r") + 1]) as archive:
        begin = int(archive.read("step")) + 1
folder = pathlib.Path("saved/run")
folder.mkdir(parents=True, exist_ok=True)
for step in range(begin, 4):
    with zipfile.ZipFile(folder / "new", "w") as archive:
        archive.writestr("step", str(step))
    os.replace(folder / "new", folder / f"step-{step}.pt")
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": step}) + "\\n")
    print("step", step, *sys.argv[1:], flush=True)
    while os.path.exists(f"wait-{step}"):
        time.sleep(0.02)
"""
# Each a folder in whose midst the next file may be missing; one stays.
FOLDERS = """
import os, pathlib, sys
if "-r" in sys.argv:
    sys.exit(print("resumed from", sys.argv[-1] + ":", *sorted(os.listdir(sys.argv[-1]))))
for step in range(5):
    folder = pathlib.Path(f"saved/checkpoint-{step}")
    folder.mkdir(parents=True)
    for name in ("weights.bin", "state.json"):
        (folder / name).write_text(f"{name} {step}" * 1000)
"""
SETTINGS = """
[project]
name   = "{name}"
train  = "python3 train.py"
resume = "python3 train.py -r {{checkpoint}}"
setup  = "echo setting up; touch was-set-up"
"""


@pytest.fixture
def project(host: Host, request: pytest.FixtureRequest) -> Path:
    """A project that trains in four steps, its name the test's own, with a space in it."""
    root = host.laptop.home / f"내 {request.node.name}"
    root.mkdir()
    (root / "colab-remote.toml").write_text(SETTINGS.format(name=root.name))
    (root / "train.py").write_text(TRAIN)
    return root


def saved(root: Path) -> set[str]:
    return {path.name for path in (root / "saved").rglob("*") if path.is_file()}


def test_train_syncs_sets_up_once_trains_and_brings_outputs_home(host: Host, project: Path) -> None:
    done = host.laptop("train", "--", "--lr", "0.1 x", cwd=project)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "step 3 --lr 0.1 x"
    lines = [line.split()[0] for line in done.stderr.splitlines() if line]
    assert [word for word in lines if word in ("sync", "setup", "job", "home")][:3] == ["sync", "setup", "job"]
    assert saved(project) == {"step-1.pt", "step-2.pt", "step-3.pt", "metrics.jsonl"}  # keep = 3
    again = host.laptop("train", cwd=project)
    assert "setting up" not in again.stderr


def test_outputs_are_at_home_while_the_job_still_runs(host: Host, project: Path) -> None:
    (project / "wait-1").touch()
    with host.laptop.started("train", cwd=project) as training:
        until(lambda: {"step-1.pt", "metrics.jsonl"} <= saved(project))
        assert training.poll() is None
        (host.runtime.workdir / project.name / "wait-1").unlink()
        training.communicate(timeout=PATIENCE)
    assert training.returncode == 0
    assert "step-3.pt" in saved(project)


def test_checkpoints_that_vanish_on_their_way_are_no_error(host: Host, project: Path) -> None:
    (project / "train.py").write_text(
        "import pathlib, time, zipfile\n"
        "pathlib.Path('saved').mkdir()\n"
        "for step in range(300):\n"
        "    with zipfile.ZipFile('new', 'w') as archive: archive.writestr('step', str(step))\n"
        "    pathlib.Path('new').rename(f'saved/step-{step}.pt')\n"
        "    pathlib.Path(f'saved/step-{step - 1}.pt').unlink(missing_ok=True)\n"
        "    time.sleep(0.005)\n"
    )
    done = host.laptop("train", cwd=project)
    assert done.returncode == 0, done.stderr
    assert "step-299.pt" in saved(project)
    assert list((project / ".colab-remote/partial").iterdir()) == []


def test_outputs_are_pulled_as_they_are_made_until_ctrl_c(host: Host, project: Path) -> None:
    assert host.laptop("sync", cwd=project).returncode == 0
    there = host.runtime.workdir / project.name / "saved"
    there.mkdir()
    with host.laptop.started("pull", "--watch", "--json", cwd=project) as pulling:
        assert pulling.stdout
        for name in ("first.csv", "second.csv"):
            (there / name).write_text(name)
            assert json.loads(pulling.stdout.readline())["home"]["path"] == f"saved/{name}"
            assert (project / "saved" / name).read_text() == name
        pulling.send_signal(signal.SIGINT)
        assert pulling.wait(PATIENCE) == 130


def test_a_laptop_that_was_away_pulls_what_it_missed(host: Host, project: Path) -> None:
    done = host.laptop("train", "--detach", cwd=project)
    assert done.returncode == 0, done.stderr
    identity = done.stdout.strip()
    until(lambda: (host.runtime.state / "jobs" / identity / "exit.json").exists())
    assert host.laptop("logs", identity, cwd=project).stdout.splitlines()[-1] == "step 3"
    assert not (project / "saved").exists()
    assert host.laptop("pull", cwd=project).returncode == 0
    assert saved(project) == {"step-0.pt", "step-1.pt", "step-2.pt", "step-3.pt", "metrics.jsonl"}


@pytest.mark.parametrize("words", [("logs", "-f"), ("attach",)])
def test_coming_back_to_a_training_brings_outputs_home_too(host: Host, project: Path, words: tuple[str, ...]) -> None:
    (project / "wait-1").touch()
    identity = host.laptop("train", "--detach", cwd=project).stdout.strip()
    with host.laptop.started(*words, identity) as following:
        until(lambda: "step-1.pt" in saved(project))
        (host.runtime.workdir / project.name / "wait-1").unlink()
        following.communicate(timeout=PATIENCE)
    assert following.returncode == 0
    assert "step-3.pt" in saved(project)
    assert "step-3.pt, " in host.laptop("jobs").stdout


def test_several_commands_at_once_bring_the_same_outputs_home(host: Host, project: Path) -> None:
    (project / "train.py").write_text(
        "import os, pathlib, time, zipfile\n"
        "pathlib.Path('saved').mkdir()\n"
        "for step in range(40):\n"
        "    with zipfile.ZipFile('new', 'w') as archive: archive.writestr('step', os.urandom(2_000_000))\n"
        "    os.replace('new', f'saved/part-{step % 5}')\n"
        "    with open('saved/metrics.jsonl', 'a') as file: print(step, file=file)\n"
        "    time.sleep(0.1)\n"
    )
    identity = host.laptop("train", "--detach", cwd=project).stdout.strip()
    words = [("logs", "-f", identity), ("attach", identity), ("pull",), ("pull",)]
    commands = [host.laptop.started(*each, cwd=project) for each in words]
    said = [command.communicate(timeout=PATIENCE)[1] for command in commands]
    assert [command.returncode for command in commands] == [0, 0, 0, 0], said
    there = host.runtime.workdir / project.name / "saved"
    for path in there.iterdir():
        assert (project / "saved" / path.name).read_bytes() == path.read_bytes(), said
    ours = project / ".colab-remote"
    assert list((ours / "partial").iterdir()) == [], said
    assert not (ours / "kept").exists(), said
    assert "damaged" not in "".join(said)
    assert "outputs wait" not in "".join(said)


def test_after_the_vm_died_training_resumes_on_another_from_the_newest_checkpoint_at_home(
    host: Host, project: Path, tmp_path: Path
) -> None:
    (project / "wait-2").touch()
    with host.laptop.started("train", cwd=project) as training:
        until(lambda: "step-2.pt" in saved(project))
        training.send_signal(signal.SIGINT)
        training.communicate(timeout=PATIENCE)
    assert host.laptop("stop", "--grace", "0", cwd=project).returncode == 0
    (project / "wait-2").unlink()
    with started_sshd(tmp_path / "other") as other:
        connect(host.laptop, other)
        done = host.laptop("train", "--resume", cwd=project)
        assert done.returncode == 0, done.stderr
        assert "resume   saved/run/step-2.pt" in done.stderr
        assert done.stdout.splitlines()[-1] == "step 3 -r saved/run/step-2.pt"
        assert "step-3.pt" in saved(project)
        jobs = json.loads(host.laptop("jobs", "--json").stdout)["jobs"]
        first, second = (job for job in jobs if job["kind"] == "train")
        assert (second["first"], second["leg"], second["checkpoint"]) == (first["id"], 2, "saved/run/step-2.pt")
        assert len(first["pin"]["tree"]) == 16
        assert f"{second['name']} (leg 2 of {first['name']})" in host.laptop("jobs").stdout


def test_a_lost_host_is_waited_for_and_training_goes_on_by_itself(host: Host, project: Path, tmp_path: Path) -> None:
    with started_sshd(tmp_path / "first") as first, started_sshd(tmp_path / "other") as other:
        connect(host.laptop, first)
        (project / "wait-2").touch()
        with host.laptop.started("--timeout", "5", "train", "--keep-going", cwd=project) as training:
            until(lambda: "step-2.pt" in saved(project))
            lose(tmp_path / "first")
            (project / "wait-2").unlink()
            said_so = training.stderr
            assert said_so is not None
            until(lambda: "waiting  for `colab`" in said_so.readline())
            assert host.laptop("disconnect", "colab").returncode == 0
            connect(host.laptop, other)
            said, errors = training.communicate(timeout=PATIENCE)
        assert training.returncode == 0, errors
        assert "resume   saved/run/step-2.pt" in errors
        assert said.splitlines()[-1] == "step 3 -r saved/run/step-2.pt"


def test_what_comes_home_by_no_rule_is_named_with_the_line_that_would_bring_it(host: Host, project: Path) -> None:
    training = 'mkdir -p "my runs" __pycache__; echo a > "my runs/log"; echo bcd > result; touch __pycache__/x'
    (project / "colab-remote.toml").write_text(f"[project]\ntrain = '''{training}'''\n")
    (project / ".gitignore").write_text("my runs/\n")
    done = host.laptop("train", cwd=project)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("left")] == [
        "left     result  4 B",
        "left     my runs/  2 B",
    ]
    assert '`outputs = ["saved/", "result", "my runs/"]` under [project] in colab-remote.toml' in done.stderr


def test_an_output_that_is_a_link_out_of_the_project_is_named(host: Host, project: Path, tmp_path: Path) -> None:
    training = f"mkdir -p saved; ln -s {tmp_path} saved/drive; echo a > saved/drive/a; ln -s drive saved/same"
    (project / "colab-remote.toml").write_text(f"[project]\ntrain = '{training}'\n")
    done = host.laptop("train", cwd=project)
    assert done.returncode == 0, done.stderr
    assert "left     saved/drive, a link out of the project there: nothing follows it\n" in done.stderr
    assert "hint: what a folder in its place holds comes home" in done.stderr


def test_training_anew_where_checkpoints_lie_says_so(host: Host, project: Path) -> None:
    assert "begins anew" not in host.laptop("train", cwd=project).stderr
    assert "begins anew though `saved/run/step-3.pt` lies here: `--resume`" in host.laptop("train", cwd=project).stderr


def test_resume_follows_a_training_that_still_runs(host: Host, project: Path) -> None:
    (project / "wait-1").touch()
    identity = host.laptop("train", "--detach", cwd=project).stdout.strip()
    with host.laptop.started("train", "--resume", cwd=project) as training:
        until(lambda: "step-1.pt" in saved(project))
        (host.runtime.workdir / project.name / "wait-1").unlink()
        said, errors = training.communicate(timeout=PATIENCE)
    assert (training.returncode, said.splitlines()[-1]) == (0, "step 3")
    assert "is there already, and is followed" in errors
    assert json.loads(host.laptop("jobs", "--json").stdout)["jobs"][-1]["id"] == identity


def test_a_checkpoint_that_is_a_folder_comes_and_goes_as_one(host: Host, project: Path, tmp_path: Path) -> None:
    (project / "train.py").write_text(FOLDERS)
    settings = project / "colab-remote.toml"
    settings.write_text(settings.read_text() + "keep = 1\n")
    assert host.laptop("train", cwd=project).returncode == 0
    assert saved(project) == {"weights.bin", "state.json"}
    assert [path.name for path in (project / "saved").iterdir()] == ["checkpoint-4"]
    with started_sshd(tmp_path / "other") as other:
        connect(host.laptop, other)
        done = host.laptop("train", "--resume", cwd=project)
        assert done.stdout == "resumed from saved/checkpoint-4: state.json weights.bin\n", done.stderr


def test_the_newest_checkpoint_lies_in_the_vault_and_resume_finds_it_there(host: Host, project: Path) -> None:
    vault = host.laptop.home / "drive"
    (vault / "checkpoint-500").mkdir(parents=True)  # what somebody else keeps there stays
    settings = project / "colab-remote.toml"
    settings.write_text(settings.read_text() + f'vault = "{vault}"\n')
    (project / "wait-2").touch()
    identity = host.laptop("train", "--detach", cwd=project).stdout.strip()
    until(lambda: [path.name for path in vault.rglob("*.pt")] == ["step-2.pt"])
    assert host.laptop("stop", "--grace", "0", identity).returncode == 0
    there = host.runtime.workdir / project.name
    shutil.rmtree(there / "saved")  # and nothing of it ever came home
    (project / "wait-2").unlink()
    done = host.laptop("train", "--resume", cwd=project)
    assert "resume   saved/run/step-2.pt" in done.stderr, done.stderr
    assert done.stdout.splitlines()[-1] == "step 3 -r saved/run/step-2.pt"
    until(lambda: [path.name for path in vault.rglob("*.pt")] == ["step-3.pt"])
    assert (vault / "checkpoint-500").is_dir()


def test_a_vault_that_is_full_keeps_what_it_has_and_no_mixture(host: Host, project: Path, small_disk: Path) -> None:
    (project / "train.py").write_text(
        "import os, pathlib, sys\n"
        "if '-r' in sys.argv:\n"
        "    sys.exit(print(*(path.read_text()[0] for path in pathlib.Path(sys.argv[-1]).iterdir())))\n"
        "folder = pathlib.Path('saved/last')\n"
        "folder.mkdir(parents=True)\n"
        "for mark in 'ab':\n"
        "    for name in 'xy':\n"
        f"        (folder / name).write_text(mark * {SMALL_DISK // 3})\n"
        "    while not os.path.exists(f'go-{mark}'):\n"
        "        pass\n"
    )
    settings = project / "colab-remote.toml"
    settings.write_text(settings.read_text() + f'vault = "{small_disk}"\ncheckpoints = ["saved/last/"]\n')
    identity = host.laptop("train", "--detach", cwd=project).stdout.strip()
    there = host.runtime.workdir / project.name
    until(lambda: (small_disk / "colab-remote.json").exists())
    (there / "go-a").touch()
    until(lambda: "not kept: No space left" in host.laptop("jobs", "--json").stdout)
    assert host.laptop("stop", "--grace", "0", identity).returncode == 0
    shutil.rmtree(there / "saved")  # and nothing of it ever came home
    done = host.laptop("train", "--resume", cwd=project)
    assert done.stdout == "a a\n", done.stderr


def connect(laptop: Laptop, runtime: Runtime) -> None:
    runtime.admit(laptop.public_line())
    done = laptop("connect", runtime.ticket, "--replace", "--open", "none")
    assert done.returncode == 0, done.stderr


def test_outputs_beyond_the_budget_are_named_and_wait_for_force(host: Host, project: Path) -> None:
    settings = project / "colab-remote.toml"
    settings.write_text(settings.read_text() + '[sync]\nbudget = "1kB"\n')
    done = host.laptop("train", cwd=project)
    assert done.returncode == 0, done.stderr
    assert not (project / "saved").exists()
    assert "waits    saved/run/step-3.pt  107 B" in done.stderr
    assert "`colab-remote pull --force` brings it" in done.stderr
    assert done.stderr.splitlines()[-1].endswith(" of 1.0 kB through direct")
    assert json.loads(host.laptop("pull", "--json", cwd=project).stdout)["home"] == []
    assert host.laptop("pull", "--force", cwd=project).returncode == 0
    assert "step-3.pt" in saved(project)


def test_only_the_newest_checkpoints_stay_at_home_and_what_was_touched_here(host: Host, project: Path) -> None:
    settings = project / "colab-remote.toml"
    settings.write_text(settings.read_text() + "keep = 2\n")
    (project / "wait-0").touch()
    with host.laptop.started("train", cwd=project) as training:
        until(lambda: "step-0.pt" in saved(project))
        (project / "saved/run/step-0.pt").write_bytes(b"mine now")
        (host.runtime.workdir / project.name / "wait-0").unlink()
        training.communicate(timeout=PATIENCE)
    assert saved(project) == {"step-0.pt", "step-2.pt", "step-3.pt", "metrics.jsonl"}


def test_checkpoints_of_the_users_own_are_never_thinned_out(host: Host, project: Path) -> None:
    (project / "colab-remote.toml").write_text(
        '[project]\nkeep = 1\ntrain = "true"\nresume = "test -f {checkpoint}"\nname = "own"\n'
    )
    mine = [project / f"saved/mine-{number}.pt" for number in range(3)]
    mine[0].parent.mkdir()
    for path in mine:
        archive(path)
        done = host.laptop("train", "--resume", cwd=project)
        assert (done.returncode, f"resume   saved/{path.name}" in done.stderr) == (0, True), done.stderr
    there = host.runtime.workdir / "own" / "saved"
    shutil.copy2(there / mine[0].name, there / "copy")
    (there / "copy").rename(there / mine[0].name)  # another file there, with the same bytes
    assert "saved/mine-0.pt" in host.laptop("pull", cwd=project).stdout
    for name, written in (("old.txt", 1), ("new.txt", time.time())):  # of no job, and of the last one
        (there / name).touch()
        os.utime(there / name, (written, written))
    assert host.laptop("train", cwd=project).returncode == 0
    assert saved(project) == {"mine-0.pt", "mine-1.pt", "mine-2.pt", "new.txt", "old.txt"}


def settings_of(project: Path, outputs: str = '["saved/"]') -> None:
    """Have the project train by the words after `--`, a shell's line."""
    (project / "colab-remote.toml").write_text(
        f'[project]\nname = "{project.name}"\ntrain = "sh -c"\noutputs = {outputs}\n'
    )


def test_a_folder_where_a_file_was_and_the_other_way_round_is_kept_aside(host: Host, project: Path) -> None:
    settings_of(project)
    makes_file = "rm -rf saved; mkdir saved; echo file > saved/model"
    makes_folder = "rm -rf saved; mkdir -p saved/model; echo folder > saved/model/w; echo > saved/z"
    said = ""
    for line in (makes_file, makes_folder, makes_file):
        done = host.laptop("train", "--", line, cwd=project)
        assert done.returncode == 0, done.stderr
        said += done.stderr
    assert (project / "saved/model").read_text() == "file\n"
    assert (project / "saved/z").exists()
    kept = re.findall(r"the older one is kept as (\S+)", said)
    assert [path.split("/", 3)[3] for path in kept] == ["saved/model", "saved/model"]
    assert (project / kept[0]).read_text() == "file\n"
    assert (project / kept[1] / "w").read_text() == "folder\n"
    (project / "saved/model").unlink()
    (project / "saved/model").mkdir()
    (project / "saved/model/notes").write_text("mine")
    (host.runtime.workdir / project.name / "saved/model").write_text("anew")
    until(lambda: "kept as .colab-remote/kept/before/saved/model" in host.laptop("pull", cwd=project).stdout)
    assert (project / ".colab-remote/kept/before/saved/model/notes").read_text() == "mine"


def test_outputs_that_cannot_lie_here_are_named_and_fail_the_command(host: Host, project: Path) -> None:
    settings_of(project, '["elsewhere/", "saved/"]')
    (project / "elsewhere").symlink_to(host.laptop.home)
    line = "mkdir -p elsewhere saved; echo > elsewhere/x; echo longer > saved/y"
    done = host.laptop("train", "--", line, cwd=project)
    assert done.returncode == 1
    assert "error: 1 output could not come home; the others did\n  elsewhere/x   would lie outside" in done.stderr
    assert saved(project) == {"y"}
    done = host.laptop("train", "--", f"{line}; echo > saved/z; exit 3", cwd=project)
    assert (done.returncode, "1 output could not come home" in done.stderr) == (3, True)
    assert saved(project) == {"y", "z"}
    done = host.laptop("pull", cwd=project)
    assert (done.returncode, "elsewhere/x" in done.stderr) == (1, True)


def test_a_full_disk_here_is_not_waited_for_once_the_job_is_over(host: Host, project: Path, small_disk: Path) -> None:
    settings_of(project)
    small = shutil.copytree(project, small_disk / "project")
    done = host.laptop("train", "--", f"mkdir -p saved; head -c {2 * SMALL_DISK} /dev/urandom > saved/large", cwd=small)
    assert done.returncode == 1
    assert "error: this laptop's disk is full, and outputs wait on the runtime" in done.stderr
    assert "Traceback" not in done.stderr
    assert "error: this laptop's disk is full" in host.laptop("pull", cwd=small).stderr


def archive(path: Path) -> None:
    """A checkpoint as torch.save writes them: a zip."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("weights", path.name)


def test_a_set_up_that_fails_starts_no_training(host: Host, project: Path) -> None:
    settings = project / "colab-remote.toml"
    settings.write_text(settings.read_text().replace("echo setting up;", "echo broken; exit 9;"))
    done = host.laptop("train", cwd=project)
    assert done.returncode == 125
    assert "`setup` ended with 9" in done.stderr
    assert "broken" in done.stderr
    assert not (host.runtime.workdir / project.name / "saved").exists()


def test_training_does_not_start_over_a_conflict(host: Host, project: Path) -> None:
    host.laptop("sync", cwd=project)
    (project / "train.py").write_text("here")
    (host.runtime.workdir / project.name / "train.py").write_text("there")
    done = host.laptop("train", cwd=project)
    assert done.returncode == 3
    assert "train.py" in done.stderr


def test_resume_without_a_checkpoint_says_so(host: Host, project: Path) -> None:
    done = host.laptop("train", "--resume", cwd=project)
    assert done.returncode == 2
    assert "has no whole checkpoint at home" in done.stderr


def test_a_torn_checkpoint_is_not_what_resume_takes(host: Host, project: Path) -> None:
    assert host.laptop("train", cwd=project).returncode == 0
    newest = project / "saved/run/step-3.pt"
    newest.write_bytes(newest.read_bytes()[:-8])
    (project / ".colab-remote/outputs.json").unlink()
    (host.runtime.workdir / project.name / "saved/run/step-3.pt").unlink()
    done = host.laptop("train", "--resume", cwd=project)
    assert "resume   saved/run/step-2.pt" in done.stderr, done.stderr


def test_json_is_a_document_a_line(host: Host, project: Path) -> None:
    done = host.laptop("train", "--json", cwd=project)
    documents = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(document["schema"] == 1 for document in documents)
    assert documents[-1]["job"]["state"] == "done"


def test_status_tells_of_gpu_contact_and_the_newest_checkpoint_at_home(host: Host, project: Path) -> None:
    assert host.laptop("train", cwd=project).returncode == 0
    said = json.loads(host.laptop("status", "--json").stdout)
    assert said["checkpoint"]["path"] == "saved/run/step-3.pt"
    assert 0 < said["checkpoint"]["arrived"] <= said["contact"]
    assert re.search(r"^home +saved/run/step-3\.pt \(\d\d:\d\d:\d\d\)$", host.laptop("status").stdout, re.MULTILINE)


def test_status_watches_a_host_that_goes_silent(laptop: Laptop, tmp_path: Path) -> None:
    with started_sshd(tmp_path / "vm") as runtime:
        connect(laptop, runtime)
        with laptop.started("--timeout", "8", "status", "--watch", "--json") as watching:
            assert watching.stdout is not None
            machines = (json.loads(line)["machine"] for line in watching.stdout)
            until(lambda: next(machines))
            lose(tmp_path / "vm")
            until(lambda: next(machines) is None)


@pytest.mark.parametrize("wrong", ["-1d", "+1d"])
def test_a_runtime_whose_clock_is_wrong_by_a_day_changes_nothing(
    host: Host, project: Path, tmp_path: Path, wrong: str
) -> None:
    if not FAKETIME.exists():
        pytest.skip("a wrong clock needs apt-get install faketime")
    laptop = host.laptop
    with started_sshd(tmp_path / "wrong", LD_PRELOAD=str(FAKETIME), FAKETIME=wrong) as runtime:
        connect(laptop, runtime)
        done = laptop("train", cwd=project)
        assert done.returncode == 0, done.stderr
        assert saved(project) == {"step-1.pt", "step-2.pt", "step-3.pt", "metrics.jsonl"}
        assert laptop("logs", "--since", "1h", cwd=project).stdout.startswith("step 0")
        assert laptop("logs", "--since", "0s", cwd=project).stdout == ""
        (job,) = (job for job in json.loads(laptop("jobs", "--json").stdout)["jobs"] if job["kind"] == "train")
        assert (job["state"], job["seconds"] < 60) == ("done", True)
        (project / "train.py").write_text(TRAIN.replace("range(begin, 4)", "range(begin, 6)"))
        done = laptop("train", "--resume", cwd=project)
        assert "resume   saved/run/step-3.pt" in done.stderr
        assert done.stdout.splitlines()[-1] == "step 5 -r saved/run/step-3.pt"
