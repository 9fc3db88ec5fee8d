# shellcheck shell=bash
# Processes that outlive the shell that started them, and are stopped by the ids written then.
# A pid file holds the pid and the kernel's start time of it, so that a pid used again by
# somebody else's process is never taken for ours.

# start_time PID: the kernel's start time, in ticks since boot; fails if there is no such process
# or only its zombie is left.
start_time() {
    local stat fields
    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
    # The name in brackets may hold anything, blanks included: what follows the last one counts.
    read -ra fields <<<"${stat##*) }"
    [[ ${fields[0]} != Z && ${fields[0]} != X ]] || return 1
    printf '%s\n' "${fields[19]}"
}

# pid_of NAME: the pid, if the process started under that name still runs.
pid_of() {
    local pid started
    [[ -f $lab_run/pid/$1 ]] || return 1
    read -r pid started <"$lab_run/pid/$1" || return 1
    [[ $(start_time "$pid") == "$started" ]] || return 1
    printf '%s\n' "$pid"
}

alive() { pid_of "$1" >/dev/null; }

# start NAME COMMAND…: does nothing if it runs already.
start() {
    local name=$1 pid
    shift
    alive "$name" && return
    mkdir -p -- "$lab_run/pid" "$lab_log"
    setsid nohup "$@" >>"$lab_log/$name.log" 2>&1 </dev/null 9>&- &
    pid=$!
    printf '%s %s\n' "$pid" "$(start_time "$pid")" >"$lab_run/pid/$name"
    disown "$pid"
}

# stop NAME [SECONDS]: asks, then forces after that long.
stop() {
    local name=$1 seconds=${2:-10} pid tries
    if pid=$(pid_of "$name"); then
        kill -TERM "$pid" 2>/dev/null || true
        for ((tries = 0; tries < seconds * 10; tries++)); do
            alive "$name" || break
            sleep 0.1
        done
        if alive "$name"; then
            kill -KILL "$pid" 2>/dev/null || true
            while alive "$name"; do sleep 0.05; done
        fi
    fi
    rm -f -- "$lab_run/pid/$name"
}

# await NAME SECONDS WHAT COMMAND…: until the command succeeds; if the process ends before, or the
# time is over, says so with the last lines of its log.
await() {
    local name=$1 seconds=$2 what=$3 deadline
    shift 3
    deadline=$((SECONDS + seconds))
    until "$@" >/dev/null 2>&1; do
        if ! alive "$name"; then
            tail -n 20 -- "$lab_log/$name.log" >&2 || true
            fail "$name ended before $what; its log is $lab_log/$name.log"
        fi
        if ((SECONDS >= deadline)); then
            tail -n 20 -- "$lab_log/$name.log" >&2 || true
            fail "$name runs, but after ${seconds}s not yet: $what; its log is $lab_log/$name.log"
        fi
        sleep 0.1
    done
}
