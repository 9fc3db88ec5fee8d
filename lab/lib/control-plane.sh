# shellcheck shell=bash
# etcd, the API server, the controller manager and the scheduler, on loopback, without root.

start_etcd() {
    local port client peer
    port=$(lab_port)
    client=https://127.0.0.1:$((port + 1))
    peer=https://127.0.0.1:$((port + 2))
    # etcd 3.4 asks for this word on every architecture but amd64.
    [[ $(uname -m) == x86_64 ]] || export ETCD_UNSUPPORTED_ARCH=arm64
    start etcd "$debian/usr/bin/etcd" --name lab --data-dir "$lab_run/etcd" --unsafe-no-fsync \
        --logger zap --log-level warn \
        --listen-client-urls "$client" --advertise-client-urls "$client" \
        --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" --initial-cluster "lab=$peer" \
        --client-cert-auth --trusted-ca-file "$lab_pki/ca.crt" \
        --cert-file "$lab_pki/etcd.crt" --key-file "$lab_pki/etcd.key" \
        --peer-client-cert-auth --peer-trusted-ca-file "$lab_pki/ca.crt" \
        --peer-cert-file "$lab_pki/etcd.crt" --peer-key-file "$lab_pki/etcd.key"
}

start_apiserver() {
    local port
    port=$(lab_port)
    # The advertised address is for nobody: no reconciler writes it into endpoints, but a loopback
    # one would be refused.
    start kube-apiserver "$kubernetes/kube-apiserver" \
        --bind-address=127.0.0.1 --secure-port="$port" --advertise-address=10.96.0.1 \
        --endpoint-reconciler-type=none \
        --tls-cert-file="$lab_pki/apiserver.crt" --tls-private-key-file="$lab_pki/apiserver.key" \
        --client-ca-file="$lab_pki/ca.crt" --authorization-mode=Node,RBAC --allow-privileged=true \
        --etcd-servers="https://127.0.0.1:$((port + 1))" --etcd-cafile="$lab_pki/ca.crt" \
        --etcd-certfile="$lab_pki/etcd.crt" --etcd-keyfile="$lab_pki/etcd.key" \
        --service-cluster-ip-range="$lab_services" \
        --service-account-issuer=https://kubernetes.default.svc \
        --service-account-key-file="$lab_pki/service-accounts.pub" \
        --service-account-signing-key-file="$lab_pki/service-accounts.key" \
        --kubelet-preferred-address-types=InternalIP \
        --kubelet-certificate-authority="$lab_pki/ca.crt" \
        --kubelet-client-certificate="$lab_pki/admin.crt" --kubelet-client-key="$lab_pki/admin.key"
}

start_controllers() {
    local name
    for name in kube-controller-manager kube-scheduler; do
        [[ -f $lab_run/$name.kubeconfig ]] || write_kubeconfig "$lab_run/$name.kubeconfig" "$name"
    done
    start kube-controller-manager "$kubernetes/kube-controller-manager" \
        --kubeconfig="$lab_run/kube-controller-manager.kubeconfig" --leader-elect=false --secure-port=0 \
        --use-service-account-credentials=true --root-ca-file="$lab_pki/ca.crt" \
        --service-account-private-key-file="$lab_pki/service-accounts.key" \
        --cluster-signing-cert-file="$lab_pki/ca.crt" --cluster-signing-key-file="$lab_pki/ca.key"
    start kube-scheduler "$kubernetes/kube-scheduler" \
        --kubeconfig="$lab_run/kube-scheduler.kubeconfig" --leader-elect=false --secure-port=0
}

# Whether somebody listens on that port of loopback.
taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

claim_ports() {
    local port=${LARIAT_LAB_PORT:-16443} each
    if [[ -f $lab_run/port ]]; then
        [[ -z ${LARIAT_LAB_PORT:-} || $port == "$(lab_port)" ]] ||
            fail "the lab runs on port $(lab_port); \`just lab-down\` before LARIAT_LAB_PORT=$port can take effect"
        return
    fi
    for each in "$port" $((port + 1)) $((port + 2)); do
        ! taken "$each" ||
            fail "port $each of loopback is taken by another program; set LARIAT_LAB_PORT to a port with two free ones above it"
    done
    mkdir -p -- "$lab_run" "$lab_log"
    printf '%s\n' "$port" >"$lab_run/port"
}

api_ready() { kubectl get --raw /readyz; }

await_api() {
    await kube-apiserver 120 "its /readyz answers ok" api_ready
}

control_plane_up() {
    make_certificates
    write_kubeconfig "$lab_kubeconfig" admin
    start_etcd
    start_apiserver
    await_api
    start_controllers
    await kube-controller-manager 60 "the default service account exists" \
        kubectl get serviceaccount default --namespace default
}

control_plane_down() {
    stop kube-scheduler 3
    stop kube-controller-manager 3
    stop kube-apiserver 3
    stop etcd 3
}
