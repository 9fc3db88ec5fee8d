# shellcheck shell=bash
# The programs of the lab: built by Go, or unpacked from Debian packages into the lab's own
# folder, so that nothing is installed on the machine and no service of it is started.

helm_version=v4.3.1
helm3_version=v3.22.0
debian_packages=(etcd-server containerd runc containernetworking-plugins busybox-static)

# recipe FILE…: a short digest of the files' texts.
recipe() { cat -- "$@" | sha256sum | cut -c1-12; }

# make_part NAME NEED COMMAND…: unless it is there already, asks the need, which ends with a sentence
# if it is not met, then runs the command with a new folder as its last argument. The folder is kept
# only if every line of the command succeeded; its place is in `$part` afterwards.
make_part() {
    local name=$1 need=$2 started=$SECONDS status
    shift 2
    part=$lab_parts/$name
    [[ -d $part ]] && return
    "$need"
    mkdir -p -- "$lab_parts"
    rm -rf -- "$part.new"
    mkdir -- "$part.new"
    # Asked for by `if` or `||`, the command would go on after a line that failed.
    set +e
    (
        set -e
        "$@" "$part.new"
    )
    status=$?
    set -e
    if ((status != 0)); then
        rm -rf -- "$part.new"
        fail "$name could not be made; the lines above say why"
    fi
    mv -T -- "$part.new" "$part"
    say "$name made in $((SECONDS - started))s"
}

# helm asks for the newest Go of all that is built here; a `go` that may fetch its own toolchain will.
need_go() {
    local least=go1.26 version
    command -v go >/dev/null ||
        fail "Kubernetes and helm are built from source with $least or newer, and \`go\` is not on PATH"
    version=$(go env GOVERSION)
    if [[ $(go env GOTOOLCHAIN) == local ]] &&
        [[ $(printf '%s\n' "$least" "$version" | sort -V | head -n 1) != "$least" ]]; then
        fail "Kubernetes and helm are built from source with $least or newer, and \`go\` is $version"
    fi
}

build_kubernetes() {
    say "building Kubernetes from source, once: about 7 minutes on two cores"
    "$lab_checkout/lab/kubernetes/build" "$1"
}

# build_helm VERSION OUT
build_helm() {
    say "building helm $1 from source, once: about 3 minutes on two cores"
    "$lab_checkout/lab/helm/build" "$2" "$1"
}

need_apt() {
    command -v apt-get >/dev/null ||
        fail "etcd, containerd and runc come from Debian packages, and there is no apt-get on this machine"
}

# The packages' files, under usr/ and bin/. Works without root, and without package lists on the
# machine: then apt reads them into the lab's own folder.
unpack_debian() {
    local out=$1 apt package
    say "unpacking ${debian_packages[*]} from Debian packages"
    mkdir -- "$out/debs"
    apt=(apt-get -qq -o "APT::Sandbox::User=$(id -un)")
    if ! (cd -- "$out/debs" && "${apt[@]}" download "${debian_packages[@]}" >"$out/apt.log" 2>&1); then
        mkdir -p -- "$lab_home/apt/lists/partial" "$lab_home/apt/cache/archives/partial"
        apt+=(-o "Dir::State::lists=$lab_home/apt/lists" -o "Dir::Cache=$lab_home/apt/cache")
        if ! "${apt[@]}" update >"$out/apt.log" 2>&1 ||
            ! (cd -- "$out/debs" && "${apt[@]}" download "${debian_packages[@]}" >>"$out/apt.log" 2>&1); then
            cat -- "$out/apt.log" >&2
            return 1
        fi
    fi
    for package in "$out"/debs/*.deb; do dpkg -x "$package" "$out"; done
    rm -rf -- "$out/debs" "$out/apt.log"
}

debian_key() {
    { printf '%s\n' "${debian_packages[@]}" && sed -n 's/^VERSION_ID=//p' /etc/os-release; } |
        sha256sum | cut -c1-12
}

# link_program FROM NAME: what `$lab_bin` holds, replaced in one step.
link_program() {
    mkdir -p -- "$lab_bin"
    ln -sfn -- "$1" "$lab_bin/$2.new"
    mv -T -- "$lab_bin/$2.new" "$lab_bin/$2"
}

# Sets `$debian`, `$kubernetes` and `$helm` to the folders of the parts, making what is missing.
gather_parts() {
    local sources=$lab_checkout/lab
    make_part "debian-$(debian_key)" need_apt unpack_debian
    debian=$part
    make_part "kubernetes-$(recipe "$sources"/kubernetes/{build,go.mod,go.sum})" need_go build_kubernetes
    kubernetes=$part
    link_program "$kubernetes/kubectl" kubectl
    make_part "helm-$helm_version-$(recipe "$sources/helm/build")" need_go build_helm "$helm_version"
    helm=$part
    link_program "$helm/helm" helm
}
