# shellcheck shell=bash
# One authority, a server certificate, and a client certificate for each that talks to the API.
# They live as long as the lab's run folder.

lab_pki=$lab_run/pki

# certificate NAME SUBJECT [ALTERNATIVE-NAMES]: makes pki/NAME.crt and pki/NAME.key, once.
certificate() {
    local name=$1 subject=$2 names=${3:-} extensions
    [[ -f $lab_pki/$name.crt ]] && return
    extensions=$'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n'
    [[ -z $names ]] || extensions+="subjectAltName=$names"$'\n'
    new_key "$name"
    openssl req -new -key "$lab_pki/$name.key" -subj "$subject" 2>/dev/null |
        openssl x509 -req -CA "$lab_pki/ca.crt" -CAkey "$lab_pki/ca.key" -set_serial "0x$(openssl rand -hex 8)" \
            -days 3650 -extfile <(printf '%s' "$extensions") -out "$lab_pki/$name.new" 2>/dev/null
    mv -- "$lab_pki/$name.new" "$lab_pki/$name.crt"
}

new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$lab_pki/$1.key"; }

make_certificates() {
    mkdir -p -- "$lab_pki"
    chmod 700 "$lab_pki"
    if [[ ! -f $lab_pki/ca.crt ]]; then
        new_key ca
        openssl req -x509 -new -key "$lab_pki/ca.key" -subj /CN=lariat-lab -days 3650 \
            -addext keyUsage=critical,digitalSignature,keyCertSign -out "$lab_pki/ca.new" 2>/dev/null
        mv -- "$lab_pki/ca.new" "$lab_pki/ca.crt"
    fi
    if [[ ! -f $lab_pki/service-accounts.pub ]]; then
        openssl genrsa -out "$lab_pki/service-accounts.key" 2048 2>/dev/null
        openssl rsa -in "$lab_pki/service-accounts.key" -pubout -out "$lab_pki/service-accounts.pub" 2>/dev/null
    fi
    certificate apiserver /CN=kube-apiserver \
        DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:10.96.0.1
    certificate etcd /CN=etcd DNS:localhost,IP:127.0.0.1
    certificate admin /O=system:masters/CN=lab
    certificate kube-controller-manager /CN=system:kube-controller-manager
    certificate kube-scheduler /CN=system:kube-scheduler
}

# write_kubeconfig FILE CERTIFICATE-NAME
write_kubeconfig() {
    local file=$1 name=$2
    (
        umask 077
        cat >"$file.new" <<END
apiVersion: v1
kind: Config
current-context: lab
clusters:
- name: lab
  cluster:
    server: https://127.0.0.1:$(lab_port)
    certificate-authority-data: $(base64 -w0 "$lab_pki/ca.crt")
users:
- name: lab
  user:
    client-certificate-data: $(base64 -w0 "$lab_pki/$name.crt")
    client-key-data: $(base64 -w0 "$lab_pki/$name.key")
contexts:
- name: lab
  context: {cluster: lab, user: lab}
END
    )
    mv -- "$file.new" "$file"
}
