# shellcheck shell=bash
# Where the lab keeps things, and how it speaks. Read first by every script of the lab.
#
# One lab per machine and user, outside of any checkout:
#   parts/      what was built or unpacked; each folder is keyed by its recipe and never changes
#   bin/        helm and kubectl of the lab, for plans and tests
#   kubeconfig  with one context, `lab`
#   run/        processes, certificates, data and logs; gone after lab-down

lab_checkout=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
lab_home=${XDG_CACHE_HOME:-${HOME:?the lab is kept under HOME, or XDG_CACHE_HOME}/.cache}/lariat/lab
lab_parts=$lab_home/parts
lab_bin=$lab_home/bin
lab_kubeconfig=$lab_home/kubeconfig
lab_run=$lab_home/run
lab_log=$lab_run/log

lab_nodes=(n1 n2 n3)
# 10.213.0.N is node N, 10.213.N.0/24 are its pods. Nothing of it leaves this host.
lab_network=${LARIAT_LAB_NETWORK:-10.213}
lab_services=10.96.0.0/16
lab_kubelet_port=10250

say() { printf 'lab: %s\n' "$*" >&2; }

fail() {
    printf 'lab: %s\n' "$*" >&2
    exit 1
}

# The port of the API server: the one of the lab that runs, else the asked one, else a fixed one,
# so that a chart's default can name it. etcd has the two ports above it.
lab_port() {
    if [[ -f $lab_run/port ]]; then
        cat -- "$lab_run/port"
    else
        printf '%s\n' "${LARIAT_LAB_PORT:-16443}"
    fi
}

# Only one script changes the lab at a time. What is started while the lock is held must close 9.
lock() {
    mkdir -p -- "$lab_home"
    exec 9>"$lab_home/lock"
    flock -n 9 && return
    say "waiting for another lab command on this machine to end"
    flock 9
}

kubectl() { "$lab_bin/kubectl" --kubeconfig "$lab_kubeconfig" "$@"; }
