# Shared by the scripts; sourced, not run. The working directory is the repository's root.
# shellcheck shell=bash

say() { printf '%s\n' "$*"; }
die() { printf 'scripts: %s\n' "$*" >&2; exit 1; }

# as_root COMMAND…: runs it as root, or fails when that needs a password.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo -n "$@"
    else
        return 1
    fi
}

# install_packages PACKAGE…: by apt-get, or ends with what to install by hand.
install_packages() {
    local apt=(as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq)
    command -v apt-get >/dev/null || die "missing, and this is no Debian; find their like: $*"
    say "installing: $*"
    if ! { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "$@"; }; then
        die "no root or no network: install these and run again: apt-get install $*"
    fi
}

# python_environment: a virtual environment under target with the pinned clients; sets PYTHON.
python_environment() {
    local folder=target/python wanted=tests/interop/python/requirements.txt
    PYTHON=$PWD/$folder/bin/python
    if [ ! -x "$PYTHON" ] || ! cmp -s "$wanted" "$folder/installed.txt"; then
        rm -rf "$folder"
        python3 -m venv "$folder" || die "python3 cannot make a virtual environment: apt-get install python3-venv"
        "$PYTHON" -m pip install --quiet --disable-pip-version-check -r "$wanted" \
            || die "pip could not fetch $wanted: it needs a package index (network, or PIP_INDEX_URL)"
        cp "$wanted" "$folder/installed.txt"
    fi
    export PYTHON
}

# free_port: a TCP port of 127.0.0.1 that nothing listens on.
free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

port_is_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# in_background LOG COMMAND…: starts it as the leader of its own process group; sets STARTED to its process id.
in_background() {
    local log=$1
    shift
    set -m
    "$@" >"$log" 2>&1 </dev/null &
    # shellcheck disable=SC2034 # for the caller
    STARTED=$!
    set +m
}

# stop PID: ends that process group and waits for it.
stop() {
    kill -TERM -- "-$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}

# answers_within SECONDS URL PID LOG: until URL gives any HTTP answer; dies with the log when PID ends or time is up.
answers_within() {
    local deadline=$((SECONDS + $1)) url=$2 pid=$3 log=$4
    until curl --silent --output /dev/null --max-time 2 "$url"; do
        if ! kill -0 "$pid" 2>/dev/null || [ "$SECONDS" -ge "$deadline" ]; then
            cat "$log" >&2
            die "no answer from $url; its log is above"
        fi
        sleep 0.2
    done
}
