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

# python_environment [FOLDER REQUIREMENTS]: a virtual environment with those packages, by default the pinned clients under
# target; sets PYTHON.
python_environment() {
    local folder=${1:-target/python} wanted=${2:-tests/interop/python/requirements.txt}
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

# node_environment [FOLDER SOURCES]: scripts for Node and their pinned packages, by default the verifier under
# target/interop/node. No package's own script is run.
node_environment() {
    local folder=${1:-target/interop/node} sources=${2:-tests/interop/node}
    mkdir -p "$folder"
    if ! cmp -s "$sources/package-lock.json" "$folder/node_modules/installed.json"; then
        cp "$sources"/package{,-lock}.json "$folder"
        npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund --loglevel error \
            || die "npm could not fetch $sources: it needs a registry once (network, or npm config set registry)"
        cp "$sources/package-lock.json" "$folder/node_modules/installed.json"
    fi
    cp "$sources"/*.mjs "$folder"
}

# peers_environment: what benches/peers.rs races against, under target/peers.
peers_environment() {
    local folder=target/peers/node built=node_modules/better-sqlite3/build/Release/better_sqlite3.node
    python_environment target/peers/python benches/peers/python/requirements.txt
    node_environment "$folder" benches/peers/node
    if [ ! -f "$folder/$built" ]; then
        say "building better-sqlite3 (two minutes, once)"
        # From the sources whose digest the lock has, not the binary that its script would fetch from elsewhere.
        npm_config_build_from_source=true quietly npm rebuild --prefix "$folder" better-sqlite3 \
            || die "better-sqlite3 could not be built: it needs a C++ compiler, make and Node's headers (npm fetches them)"
    fi
}

# at_least WANTED FOUND: whether a version, of numbers and dots, is that new.
at_least() { [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

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

# run_stages [STAGE…]: runs those functions of the caller, or all in its STAGES, each with a line that says what it took.
run_stages() {
    local stage chosen=("$@") summary=()
    if [ ${#chosen[@]} -eq 0 ]; then chosen=("${STAGES[@]}"); fi
    RUNNING=
    trap 'if [ -n "$RUNNING" ]; then say "== FAILED: $RUNNING (again alone: $0 $RUNNING)"; fi' EXIT
    mkdir -p target
    for stage in "${chosen[@]}"; do
        case " ${STAGES[*]} " in
            *" $stage "*) run_stage "$stage" ;;
            *) die "no stage is called $stage; there are: ${STAGES[*]}" ;;
        esac
    done
    say "== all stages passed"
    printf '%s\n' "${summary[@]}"
}

# For run_stages alone, whose `summary` it fills.
run_stage() {
    local started=$SECONDS line
    say "== $1"
    RUNNING=$1
    "$1"
    RUNNING=
    line=$(printf '%-16s %4d s' "$1" $((SECONDS - started)))
    summary+=("$line")
    say "-- $line"
}

# with_postgres COMMAND…: with SIGNET_TEST_POSTGRES naming a server that stops however the command ends.
with_postgres() {
    local folder
    folder=$(mktemp -d)
    # The trap is this subshell's own.
    (
        # shellcheck disable=SC2064 # the folder of now
        trap "scripts/postgres stop '$folder'; rm -rf '$folder'" EXIT
        SIGNET_TEST_POSTGRES=$(scripts/postgres start "$folder")
        export SIGNET_TEST_POSTGRES SIGNET_TEST_REQUIRE_POSTGRES=1 SIGNET_TEST_REQUIRE_TOOLS=1
        "$@"
    )
}

# quietly COMMAND…: its output only when it fails.
quietly() {
    local log
    log=$(mktemp)
    if "$@" >"$log" 2>&1; then rm -f "$log"; else cat "$log"; rm -f "$log"; return 1; fi
}

# cargo_fuzz COMMAND ARGUMENT…: `cargo fuzz`, installed under target when it is missing. The compiler's coverage options
# are those of a nightly; RUSTC_BOOTSTRAP lets this one have them.
cargo_fuzz() {
    local command=$1
    shift
    if [ ! -x target/tools/bin/cargo-fuzz ]; then
        cargo install --quiet cargo-fuzz --version 0.13.2 --locked --root target/tools \
            || die "cargo-fuzz could not be installed: it needs the network once"
    fi
    RUSTC_BOOTSTRAP=1 target/tools/bin/cargo-fuzz "$command" --fuzz-dir fuzz --target-dir target/fuzz \
        --sanitizer "${PROVE_SANITIZER:-address}" "$@"
}

# fuzz_dictionary TARGET: the words it is given to play with.
fuzz_dictionary() {
    case $1 in
        json_body | jwk_set | status_list | token) say json.dict ;;
        *) say text.dict ;;
    esac
}
