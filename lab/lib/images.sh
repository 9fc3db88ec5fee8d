# shellcheck shell=bash
# Images made by hand, because a registry may be out of reach: one layer of static busybox with a
# link for each applet, and thin layers on it, in one docker-archive.
#
#   registry.k8s.io/pause:3.10    what a pod's sandbox runs
#   busybox:1.36                  Debian's busybox, under the name that manifests ask for
#   lariat-lab/tools:1            with a static kubectl
#   lariat-lab/gadget:1.0.0       with the version in /version, and 2.0.0 beside it

# layer OUT NAME FOLDER: packs the folder as a layer that is the same for the same files.
layer() {
    tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$3" -cf "$1/$2.tar" .
}

# image OUT NAME TAG COMMAND LAYER…: writes the image's configuration and prints its manifest.
image() {
    local out=$1 name=$2 tag=$3 command=$4 layers=() digests=() each architecture
    shift 4
    for each in "$@"; do
        layers+=("\"$each.tar\"")
        digests+=("\"sha256:$(sha256sum "$out/$each.tar" | cut -d' ' -f1)\"")
    done
    architecture=$(dpkg --print-architecture)
    local IFS=,
    cat >"$out/$name.json" <<END
{"architecture":"$architecture","os":"linux","config":{"Env":["PATH=/bin"],"Cmd":$command},"rootfs":{"type":"layers","diff_ids":[${digests[*]}]}}
END
    printf '{"Config":"%s.json","RepoTags":["%s"],"Layers":[%s]}' "$name" "$tag" "${layers[*]}"
}

# Writes images.tar into the folder.
make_images() {
    local out=$1 work=$1/work root version applet manifests=()
    mkdir -p -- "$work"/{busybox/{bin,etc,tmp,proc,sys,dev,root},kubectl/bin}
    root=$work/busybox
    chmod 1777 "$root/tmp"
    cp -- "$debian/bin/busybox" "$root/bin/busybox"
    for applet in $("$root/bin/busybox" --list); do
        [[ $applet == busybox ]] || ln -s busybox "$root/bin/$applet"
    done
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n' >"$root/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
    cp -- "$kubernetes/kubectl" "$work/kubectl/bin/kubectl"
    layer "$work" layer-busybox "$root"
    layer "$work" layer-kubectl "$work/kubectl"
    manifests+=("$(image "$work" pause registry.k8s.io/pause:3.10 '["sleep","2147483647"]' layer-busybox)")
    manifests+=("$(image "$work" busybox busybox:1.36 '["sh"]' layer-busybox)")
    manifests+=("$(image "$work" tools lariat-lab/tools:1 '["sh"]' layer-busybox layer-kubectl)")
    for version in 1.0.0 2.0.0; do
        mkdir -- "$work/$version"
        printf '%s\n' "$version" >"$work/$version/version"
        layer "$work" "layer-$version" "$work/$version"
        manifests+=("$(image "$work" "gadget-$version" "lariat-lab/gadget:$version" '["sh"]' \
            layer-busybox "layer-$version")")
    done
    local IFS=,
    printf '[%s]\n' "${manifests[*]}" >"$work/manifest.json"
    (cd -- "$work" && tar -cf "$out/images.tar" manifest.json ./*.json layer-*.tar)
    rm -rf -- "$work"
}

# Sets `$images` to the archive.
gather_images() {
    make_part "images-$(printf '%s %s %s' "$(recipe "$lab_checkout/lab/lib/images.sh")" \
        "$(basename -- "$kubernetes")" "$(basename -- "$debian")" | sha256sum | cut -c1-12)" true make_images
    images=$part/images.tar
}
