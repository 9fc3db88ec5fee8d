# shellcheck shell=bash
# Three nodes on this host, each one containerd and one kubelet with folders, a socket, a cgroup
# and an address of its own. The addresses are on the loopback device, so a node needs no entry in
# /etc/hosts and nothing listens on the machine's own addresses. Needs root.

node_dir() { printf '%s/%s\n' "$lab_run" "$1"; }
node_address() { printf '%s.0.%s\n' "$lab_network" "${1#n}"; }
node_cgroup() { printf 'lariat-lab-%s\n' "$1"; }

# containerd_ctl NODE ARGUMENT…: `ctr` in the namespace that the kubelet's containers are in.
containerd_ctl() {
    local dir
    dir=$(node_dir "$1")
    shift
    "$debian/usr/bin/ctr" --address "$dir/containerd.sock" --namespace k8s.io "$@"
}

cgroup_v2() { [[ -f /sys/fs/cgroup/cgroup.controllers ]]; }

make_cgroup() {
    local cgroup controller file
    cgroup=$(node_cgroup "$1")
    if cgroup_v2; then
        mkdir -p -- "/sys/fs/cgroup/$cgroup"
        for controller in $(</sys/fs/cgroup/cgroup.controllers); do
            for file in /sys/fs/cgroup/cgroup.subtree_control "/sys/fs/cgroup/$cgroup/cgroup.subtree_control"; do
                echo "+$controller" 2>/dev/null >"$file" || true
            done
        done
        for controller in cpu memory pids; do
            grep -qw "$controller" "/sys/fs/cgroup/$cgroup/cgroup.subtree_control" ||
                fail "the cgroup controller \`$controller\` cannot be handed to the nodes: /sys/fs/cgroup holds processes, or does not offer it"
        done
        return
    fi
    for controller in /sys/fs/cgroup/*/; do
        [[ -f $controller/cgroup.procs && ! -f $controller/cgroup.controllers ]] || continue
        mkdir -p -- "$controller$cgroup"
        # A cpuset cgroup starts without any CPU and takes no process until it has some.
        for file in cpuset.cpus cpuset.mems; do
            [[ ! -f $controller$file ]] || cat -- "$controller$file" >"$controller$cgroup/$file"
        done
    done
}

# Ends what is still in the node's cgroup, which only holds what its kubelet put there.
remove_cgroup() {
    local cgroup tree pid
    cgroup=$(node_cgroup "$1")
    for tree in /sys/fs/cgroup/"$cgroup" /sys/fs/cgroup/*/"$cgroup"; do
        [[ -d $tree ]] || continue
        while read -r pid; do kill -KILL "$pid" 2>/dev/null || true; done \
            < <(find "$tree" -name cgroup.procs -exec cat {} +)
        # A cgroup is busy until its last process is reaped.
        for _ in {1..20}; do
            find "$tree" -depth -type d -exec rmdir {} + 2>/dev/null || true
            [[ -d $tree ]] || break
            sleep 0.05
        done
    done
}

# overlayfs, or plain copies where the lab's folder is on a file system that takes no overlay.
snapshotter() {
    local probe=$lab_run/overlay-probe
    mkdir -p -- "$probe"/{lower,upper,work,merged}
    if mount -t overlay overlay -o "lowerdir=$probe/lower,upperdir=$probe/upper,workdir=$probe/work" \
        "$probe/merged" 2>/dev/null; then
        umount "$probe/merged"
        printf 'overlayfs\n'
    else
        printf 'native\n'
    fi
    rm -rf -- "$probe"
}

write_containerd_config() {
    local dir=$2
    mkdir -p -- "$dir"/{cni,containerd,state}
    cat >"$dir/cni/10-lab.conflist" <<END
{"cniVersion": "0.4.0", "name": "lab", "plugins": [
  {"type": "ptp", "mtu": 1500, "ipMasq": false,
   "ipam": {"type": "host-local", "dataDir": "$dir/ipam", "routes": [{"dst": "0.0.0.0/0"}],
            "ranges": [[{"subnet": "$lab_network.${1#n}.0/24"}]]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}
]}
END
    # Without CAP_SYS_RESOURCE a sandbox's negative oom_score_adj would end runc with
    # "can't get final child's PID from pipe: EOF": hence restrict_oom_score_adj.
    cat >"$dir/containerd.toml" <<END
version = 2
root = "$dir/containerd"
state = "$dir/state"
[grpc]
  address = "$dir/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "$dir/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.k8s.io/pause:3.10"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$debian/usr/lib/cni"
    conf_dir = "$dir/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "$3"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "$debian/usr/sbin/runc"
        Root = "$dir/runc"
        SystemdCgroup = false
END
}

write_kubelet_config() {
    local node=$1 dir=$2 address
    address=$(node_address "$node")
    certificate "$node" "/O=system:nodes/CN=system:node:$node" "DNS:$node,IP:$address"
    write_kubeconfig "$dir/kubeconfig" "$node"
    mkdir -p -- "$dir"/{kubelet,manifests,logs}
    cat >"$dir/kubelet.yaml" <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $address
port: $lab_kubelet_port
healthzPort: 0
containerRuntimeEndpoint: unix://$dir/containerd.sock
podLogsDir: $dir/logs
tlsCertFile: $lab_pki/$node.crt
tlsPrivateKeyFile: $lab_pki/$node.key
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: false}
  x509: {clientCAFile: $lab_pki/ca.crt}
authorization: {mode: AlwaysAllow}
clusterDomain: cluster.local
clusterDNS: [10.96.0.10]
cgroupDriver: cgroupfs
cgroupRoot: /$(node_cgroup "$node")
failCgroupV1: false
failSwapOn: false
localStorageCapacityIsolation: false
evictionHard: {memory.available: 1%, nodefs.available: 1%, nodefs.inodesFree: 1%, imagefs.available: 1%}
imageGCHighThresholdPercent: 100
END
}

start_containerd() {
    local node=$1 dir=$2
    # Killed hard, containerd leaves a socket that would look like a live one.
    alive "$node-containerd" || rm -f -- "$dir/containerd.sock"
    start "$node-containerd" env PATH="$debian/usr/bin:$debian/usr/sbin:$PATH" \
        "$debian/usr/bin/containerd" --config "$dir/containerd.toml"
}

load_images() {
    [[ -f $2/images-loaded && $(<"$2/images-loaded") == "$images" ]] && return
    containerd_ctl "$1" images import --snapshotter "$(<"$lab_run/snapshotter")" "$images" >>"$lab_log/$1-images.log" 2>&1 ||
        fail "$1 could not take the images; the log is $lab_log/$1-images.log"
    printf '%s\n' "$images" >"$2/images-loaded"
}

# What containerd and kubelet of all nodes need before the API server is there.
prepare_nodes() {
    local node dir
    [[ -f $lab_run/snapshotter ]] || snapshotter >"$lab_run/snapshotter"
    for node in "${lab_nodes[@]}"; do
        dir=$(node_dir "$node")
        make_cgroup "$node"
        ip address replace "$(node_address "$node")/32" dev lo
        [[ -f $dir/containerd.toml ]] || write_containerd_config "$node" "$dir" "$(<"$lab_run/snapshotter")"
        start_containerd "$node" "$dir"
    done
}

nodes_up() {
    local node dir
    for node in "${lab_nodes[@]}"; do
        dir=$(node_dir "$node")
        await "$node-containerd" 60 "its socket answers" containerd_ctl "$node" version
        load_images "$node" "$dir"
        [[ -f $dir/kubelet.yaml ]] || write_kubelet_config "$node" "$dir"
        start "$node-kubelet" "$kubernetes/kubelet" --config "$dir/kubelet.yaml" \
            --kubeconfig "$dir/kubeconfig" --root-dir "$dir/kubelet" --hostname-override "$node" \
            --node-ip "$(node_address "$node")"
    done
    for node in "${lab_nodes[@]}"; do
        await "$node-kubelet" 120 "node $node is Ready" node_ready "$node"
    done
}

node_ready() {
    [[ $(kubectl get node "$1" \
        -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}') == True ]]
}

# Kubelets first, so that nothing is started again; then every container through its own
# containerd; then what a shim killed halfway may have left.
nodes_down() {
    local node dir mount shim
    for node in "${lab_nodes[@]}"; do stop "$node-kubelet" 5; done
    for node in "${lab_nodes[@]}"; do
        dir=$(node_dir "$node")
        [[ -d $dir ]] || continue
        if alive "$node-containerd"; then
            containerd_ctl "$node" tasks ls -q | xargs -r -n 1 timeout 10 "$debian/usr/bin/ctr" \
                --address "$dir/containerd.sock" --namespace k8s.io tasks rm --force >/dev/null 2>&1 || true
        fi
        stop "$node-containerd" 5
        # A shim's command line names the socket of its containerd, which is in the lab's folder.
        { grep -lzxF -- "$dir/containerd.sock" /proc/[0-9]*/cmdline 2>/dev/null || true; } | cut -d/ -f3 |
            while read -r shim; do kill -KILL "$shim" 2>/dev/null || true; done
        remove_cgroup "$node"
        ip address del "$(node_address "$node")/32" dev lo 2>/dev/null || true
    done
    # Deepest first: volumes of pods, root file systems, network namespaces.
    findmnt -rno TARGET | grep -F -- "$lab_run/" | sort -r | while read -r mount; do
        umount -l -- "$mount" || true
    done
}
