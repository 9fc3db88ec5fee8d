# Moves every Gadget whose spec changed since it was last ready through pending, working, ready;
# on the way each file of spec.files goes through working to ready, one after another.
trap 'exit 0' TERM

set_status() { # NAMESPACE NAME STATUS
    kubectl patch gadgets.lab.lariat.dev "$2" --namespace "$1" --subresource=status --type=merge \
        --patch "{\"status\":$3}"
}

get() { # NAMESPACE NAME OUTPUT
    kubectl get gadgets.lab.lariat.dev "$2" --namespace "$1" --output "$3"
}

pause() { sleep "$STEP_SECONDS" & wait $!; }

move() { # NAMESPACE NAME GENERATION
    local version files file all=
    version=$(get "$1" "$2" 'jsonpath={.spec.version}') || return
    files=$(get "$1" "$2" 'jsonpath={.spec.files[*]}') || return
    # A file that the spec names no longer goes from the status too.
    for file in $(get "$1" "$2" 'go-template={{range $name, $file := .status.files}}{{$name}} {{end}}'); do
        case " $files " in
            *" $file "*) ;;
            *) all="$all${all:+,}\"$file\":null" ;;
        esac
    done
    for file in $files; do all="$all${all:+,}\"$file\":{\"state\":\"pending\"}"; done
    set_status "$1" "$2" "{\"state\":\"pending\",\"files\":{$all}}" || return
    pause
    set_status "$1" "$2" '{"state":"working"}' || return
    for file in $files; do
        set_status "$1" "$2" "{\"files\":{\"$file\":{\"state\":\"working\"}}}" || return
        pause
        set_status "$1" "$2" "{\"files\":{\"$file\":{\"state\":\"ready\"}}}" || return
    done
    set_status "$1" "$2" "{\"state\":\"ready\",\"version\":\"$version\",\"observedGeneration\":$3}"
}

# A watch ends when the API server goes away, and is refused until the definition is there.
while :; do
    kubectl get gadgets.lab.lariat.dev --all-namespaces --watch --output \
        'jsonpath={.metadata.namespace} {.metadata.name}{"\n"}' |
        while read -r namespace name; do
            # The line may be old news by now, so the object is asked what it wants.
            set -- $(get "$namespace" "$name" 'jsonpath={.metadata.generation} {.status.observedGeneration}')
            if [ -n "${1:-}" ] && [ "${1:-}" != "${2:-}" ]; then move "$namespace" "$name" "$1"; fi
        done
    pause
done
