# shellcheck shell=bash
# The lab as a whole: what is up, what is swept, and the word of it that this checkout gets.

lab_processes=(etcd kube-apiserver kube-controller-manager kube-scheduler)
for each in "${lab_nodes[@]}"; do lab_processes+=("$each-containerd" "$each-kubelet"); done

any_alive() {
    local name
    for name in "${lab_processes[@]}"; do
        ! alive "$name" || return 0
    done
    return 1
}

describe() {
    local name nodes=0
    for name in "${lab_nodes[@]}"; do ! alive "$name-kubelet" || nodes=$((nodes + 1)); done
    printf 'Kubernetes %s on 127.0.0.1:%s, %s nodes' \
        "$(kubectl version 2>/dev/null | sed -n 's/^Server Version: //p')" "$(lab_port)" "$nodes"
}

# Stops everything and removes the run folder.
sweep() {
    debian=$lab_parts/debian-$(debian_key)
    [[ ! -d $lab_run/n1 ]] || nodes_down
    control_plane_down
    # One file system: whatever is still mounted below is not ours to empty.
    rm -rf --one-file-system -- "$lab_run"
    rm -f -- "$lab_kubeconfig"
}

# `[contexts.lab]` of the checkout's own lariat.toml; the rest of that file stays as it is.
write_lariat_toml() {
    local file=$lab_checkout/lariat.toml
    {
        if [[ -f $file ]]; then
            awk '/^\[/ { ours = ($0 ~ /^\[contexts\.lab\]/) } !ours' "$file"
        else
            # shellcheck disable=SC2016
            printf '# Where plans may go. `just lab-up` writes [contexts.lab]; the rest is yours.\n\n'
        fi
        printf '[contexts.lab]\nkubeconfig = "%s"\nharm = true\n' "$lab_kubeconfig"
    } >"$file.new"
    mv -- "$file.new" "$file"
}
