# What quickstart, test and bench need of this machine. Sourced from the clone's root by bash.

say() { printf '%s\n' "$*" >&2; }

fail() { # MESSAGE HINT
    printf 'error: %s\n\nhint: %s\n' "$1" "$2" >&2
    exit 1
}

# A failing command must not pass for "not there": what cannot be had is named.
need_packages() { # PROGRAM=PACKAGE...: apt brings the packages whose program is missing
    local missing=() pair
    for pair in "$@"; do
        PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
    done
    [ ${#missing[@]} -eq 0 ] && return
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        fail "this machine lacks: ${missing[*]}" "install them: sudo apt-get install ${missing[*]}"
    fi
    say "apt      ${missing[*]}"
    apt-get update -qq >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

find_python() { # prints a Python of 3.11 or later that can make virtual environments
    local python
    for python in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        "$python" -c 'import ensurepip, venv' 2>/dev/null || need_packages "no-such-program=python3-venv"
        echo "$python"
        return
    done
    if command -v python3 >/dev/null; then
        fail "Python 3.11 or later is needed; this one is $(python3 --version)" \
            "install a newer one and name it: PYTHON=python3.12 $0"
    fi
    need_packages python3=python3 no-such-program=python3-venv
    find_python
}

make_environment() { # FOLDER: a virtual environment there, with the interpreter's own PyTorch if it has one
    local python
    [ -x "$1/bin/python" ] && "$1/bin/python" -c '' 2>/dev/null && return
    python=$(find_python)
    rm -rf "$1"
    if "$python" -c 'import torch' 2>/dev/null; then
        "$python" -m venv --system-site-packages "$1"
    else
        "$python" -m venv "$1"
    fi
}

# The newest CPU build that every Python we support has. A plain `torch` would bring gigabytes of CUDA.
torch_version=2.13.0
torch_index=https://download.pytorch.org/whl/cpu

install_torch() { # FOLDER: PyTorch in that environment, a CPU build unless there is one
    "$1/bin/python" -c 'import torch' 2>/dev/null && return
    say "install  PyTorch $torch_version, CPU build"
    "$1/bin/pip" install -q --retries 1 --extra-index-url "$torch_index" "torch==$torch_version+cpu" numpy 2>"$1/torch.log" ||
        fail "no CPU build of PyTorch $torch_version for $("$1/bin/python" --version) could be had ($1/torch.log says why)" \
            "install PyTorch for this Python (https://pytorch.org/get-started/locally), then run $0 again"
}

# Google's own command line for Colab, which some tests drive. It wants a newer Python than we do, and its own libraries.
colab_cli=google-colab-cli==0.7.5

install_colab_cli() { # FOLDER: in an environment of its own there; where no Python is new enough its tests are skipped
    local python
    [ -x "$1/bin/colab" ] && return
    for python in ${PYTHON:-} python3 python3.14 python3.13 python3.12 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[2-9]*/bin/python3; do
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null || continue
        say "install  $colab_cli"
        rm -rf "$1"
        "$python" -m venv "$1" && "$1/bin/pip" install -q "$colab_cli" && return
        say "$colab_cli could not be installed: its tests are skipped"
        return
    done
    say "no Python 3.12 or later is here: the tests of $colab_cli are skipped"
}
