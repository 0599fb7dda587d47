"""The command line: the only place that prints or exits."""

from __future__ import annotations

import importlib
import itertools
import math
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from colab_remote.cli.interrupt import heed_interrupts, interrupted
from colab_remote.cli.output import Output, suit_consoles
from colab_remote.errors import ColabRemoteError, Refused

# Name -> (module of colab_remote.cli, what `--help` says). A module is imported when its command runs, so that
# none pays for another's imports; a test holds these lines equal to the commands' own.
COMMANDS = {
    "launch": ("runtime", "Make this machine a runtime: start sshd and a tunnel, print the ticket."),
    "shutdown": ("runtime", "Stop what `launch` started here."),
    "cell": ("notebook", "Print the cell that lets this laptop into a Colab VM."),
    "notebook": ("notebook", "Write that cell as a notebook to open in Colab."),
    "hostkey": ("notebook", "Make a host key to keep as Colab's secret SSH_HOST_KEY."),
    "connect": ("hosts", "Know a runtime by its ticket, and let ssh and VS Code in."),
    "list": ("hosts", "The hosts known here, and whether they answer."),
    "status": ("status", "GPU, memory, disk, uptime and jobs of one host."),
    "ssh": ("hosts", "The system's ssh, through the written config."),
    "open": ("hosts", "The editor on the runtime, in the project's folder there."),
    "disconnect": ("hosts", "Forget a host: its config, pinned key and registry entry go."),
    "run": ("run", "Run a command on the runtime as a job, after a sync."),
    "train": ("train", "Train on the runtime, results come home."),
    "pull": ("train", "Bring outputs home that are on the runtime."),
    "jobs": ("jobs", "The jobs of all hosts, and how they are."),
    "logs": ("job", "A job's log, as it comes from the job."),
    "attach": ("attach", "Be at a job that runs: its log, and its terminal where it has one."),
    "stop": ("job", "End a job: SIGTERM, a while to save what it has, SIGKILL."),
    "templates": ("project", "The bundled templates."),
    "new": ("project", "A project from a template, in a new or empty FOLDER."),
    "init": ("project", "Make an existing folder a project: write its colab-remote.toml."),
    "sync": ("project", "Make a project and its folder on the runtime equal."),
    "forward": ("ports", "Ports of the runtime on this laptop, until interrupted."),
    "tensorboard": ("tensorboard", "TensorBoard over a project's outputs, until Ctrl-C."),
    "proxy": ("proxy", "The way to a host's sshd, on stdin and stdout."),
    "up": ("google", "A runtime through Google's own CLI, connected."),
    "down": ("google", "Outputs home, then stop that runtime."),
    "doctor": ("doctor", "What works here, and what to do about what does not."),
    "demo": ("demo", "The whole way on this machine, no account needed."),
}


class LazyGroup(click.Group):
    """A group that knows its commands' names and lines without importing them."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Names in the order people meet them."""
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The command of that name, imported now."""
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"colab_remote.cli.{COMMANDS[name][0]}")
        command = getattr(module, name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands' list from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="colab-remote", message="%(version)s")
@click.option("--timeout", type=click.FloatRange(0, 86400, min_open=True), help="Seconds to wait for a runtime.")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing but results and errors.")
@click.option("--debug", is_flag=True, help="Show where an error came from.")
@click.pass_obj
def cli(output: Output, timeout: float | None, quiet: bool, debug: bool) -> None:
    """One cell in Google Colab, then your laptop has a GPU."""
    if timeout is not None and math.isnan(timeout):  # which no range keeps out
        raise click.BadParameter("nan is no number of seconds.", param_hint="'--timeout'")
    output.timeout, output.quiet, output.debug = timeout, quiet, debug


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with the contract's code."""
    suit_consoles()
    heed_interrupts()
    code = run(arguments)
    os._exit(code)  # not `sys.exit`: to take apart all that was imported is a twentieth of a short command's time


def run(arguments: Sequence[str] | None) -> int:
    """Run one command and return its exit code; errors are printed."""
    output = Output()
    try:
        code = cli.main(arguments, prog_name="colab-remote", standalone_mode=False, obj=output)
        print(end="", flush=True)  # `main` leaves Python no time to do so
        return code if isinstance(code, int) else 0
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        # The reader has what it wanted; what is still buffered must not complain when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        # What is not understood ends before `--json` is.
        words = sys.argv[1:] if arguments is None else arguments
        output.json |= "--json" in itertools.takewhile("--".__ne__, words)
        failure: ColabRemoteError = Refused(error.format_message(), _usage_hint(error))
    except ColabRemoteError as error:
        failure = error
    except Exception as error:
        if output.debug:
            raise
        if interrupted():
            return 130
        failure = _sentence(error)
    output.fail(failure)
    return failure.exit_code


def _sentence(error: Exception) -> ColabRemoteError:
    """What is said of an error that no command expects."""
    if not isinstance(error, OSError):
        return ColabRemoteError(
            f"a defect in colab-remote: {type(error).__name__}: {error}",
            "run it again with `colab-remote --debug` and report what it prints",
        )
    if _folder_is_gone():
        return Refused("the folder that this was called in is gone", "`cd` to one that is there, then again")
    where = f"`{error.filename}`" if error.filename else "this machine"
    return ColabRemoteError(
        f"{where}: {error.strerror or error}", "see to that, then again; `colab-remote --debug` shows what it was doing"
    )


def _folder_is_gone() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def _usage_hint(error: click.ClickException) -> str:
    from colab_remote.cli.trailing import Trailing

    context = getattr(error, "ctx", None)
    if context is None:
        return ""
    shown = f"`{context.command_path} --help` shows how it is used"
    trails = isinstance(context.command, Trailing)
    return f"{shown}; what is meant for the runtime stands after `--`" if trails else shown
