# The front door. `./justw` runs these recipes too, and brings `just` along where it is missing.

set positional-arguments
set shell := ["bash", "-euo", "pipefail", "-c"]

# Lists the recipes.
[private]
default:
    @just --justfile {{ quote(justfile()) }} --list --unsorted

# Runs plans/NAME.toml and passes its exit code on; with `--context lab` the lab's helm and kubectl come first on PATH.
[group('use')]
[no-exit-message]
plan NAME *ARGS:
    #!/usr/bin/env bash
    set -euo pipefail
    plan=plans/$1.toml
    shift
    run=(cargo run --quiet -- run "$plan" "$@")
    case " $* " in
        *" --context lab "* | *" --context=lab "*) exec lab/with "${run[@]}" ;;
        *) exec "${run[@]}" ;;
    esac

# Runs all tests that need no lab.
[group('test')]
[no-exit-message]
test *ARGS:
    @cargo test "$@"

# Holds the embedded API server to what a real one answered; prints how far that goes, and every decided difference.
[group('test')]
[no-exit-message]
conformance:
    @LARIAT_CONFORMANCE_SHOW=1 cargo test --quiet --test it conformance::embedded -- --nocapture

# Runs plans with many seeds on the embedded cluster: `soak 200 same-image`; says which did not pass, and the spread. `LARIAT_PROFILE=quick` builds faster.
[group('test')]
[no-exit-message]
soak SEEDS="1000" *PLANS="compatible incompatible same-image":
    #!/usr/bin/env bash
    set -euo pipefail
    profile=${LARIAT_PROFILE:-release}
    cargo build --quiet --profile "$profile" --bin lariat
    # What is not said is the default above, and no argument.
    LARIAT="${CARGO_TARGET_DIR:-target}/$profile/lariat" .ci/soak {{ SEEDS }} {{ PLANS }}

# Runs the lab's tests on a real control plane with three nodes, which it brings up first.
[group('test')]
[no-exit-message]
lab-test *ARGS: lab-up
    @lab/test "$@"

# Holds the embedded Longhorn to the recordings of the original over SEEDS seeds, and prints a table for each.
[group('test')]
[no-exit-message]
soak-recordings SEEDS="200":
    #!/usr/bin/env bash
    set -euo pipefail
    tables=$(mktemp -d)
    trap 'rm -rf "$tables"' EXIT
    code=0
    LARIAT_SEEDS=$1 LARIAT_TABLE=$tables cargo test --profile quick --quiet --test it longhorn::held || code=$?
    cat "$tables"/*.md
    exit "$code"

# Writes down anew what the lab's API server answers to the conformance sequences.
[group('lab')]
lab-record: lab-up
    @LARIAT_LAB_RECORD=1 lab/test the_recording_is

# Writes down anew in which order the lab's controllers do things, `LARIAT_LAB_TIMES` (12) times over.
[group('lab')]
lab-orders: lab-up
    @LARIAT_LAB_RECORD=1 lab/test the_stories_are

# Measures what recording, judging and the embedded server cost here and writes reports/bench.json.
[group('test')]
[no-exit-message]
bench:
    @cargo run --release --quiet --example bench
    @cargo run --release --quiet --example bench_checks
    @cargo run --release --quiet --example bench_server

# Measures on the lab what a check sees beside polling, and how soon the next step acts.
[group('test')]
[no-exit-message]
bench-lab: lab-up
    @cargo build --release --quiet --bin lariat --example bench_lab
    @lab/with "${CARGO_TARGET_DIR:-target}/release/examples/bench_lab"

# Runs the embedded Longhorn's controllers on the lab's real API server, and `same-image` against them: three rounds, no volumes.
[group('lab')]
[no-exit-message]
lab-longhorn *ARGS: lab-up
    @cargo build --quiet --bin lariat --example longhorn_on_lab
    @lab/with "${CARGO_TARGET_DIR:-target}/debug/examples/longhorn_on_lab" "$@"

# Writes down anew what the lab's API server says of its kinds: schemas and columns of tables.
[group('lab')]
lab-kinds: lab-up
    @lab/with env LARIAT_LAB_KUBECONFIG="$HOME/.cache/lariat/lab/kubeconfig" lab/kinds

# Format, lints, documentation, scripts, and whether generated files are up to date.
[group('test')]
check: check-rust check-scripts check-generated check-plans

[private]
check-rust:
    cargo fmt --check
    cargo clippy --quiet --all-targets -- -D warnings
    cargo clippy --quiet --test lab -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps

[private]
check-scripts: (need "shellcheck" "the scripts")
    @! command -v shellcheck >/dev/null || shellcheck -x -a justw .ci/run .ci/soak lab/up lab/down lab/status lab/apiserver lab/etcd lab/test lab/with lab/helm3 lab/*/build

[private]
check-generated:
    @cargo run --quiet -- schema | diff -u schema/plan.schema.json - \
        || { echo "schema/plan.schema.json is not what the code says: run \`just generate\`" >&2; exit 1; }

[private]
check-plans: (need "taplo" "the plans against their schema")
    @! command -v taplo >/dev/null || RUST_LOG=warn taplo lint 'plans/**/*.toml'

# A tool that is missing leaves a check out, with a word of it; in continuous integration it fails.
[private]
need TOOL WHAT:
    @command -v "$1" >/dev/null || { echo "$1 is not on PATH: $2 are not checked" >&2; [[ -z ${CI:-} ]]; }

# Writes the files that are generated from the code: the plan's JSON Schema.
[group('maintain')]
generate:
    @mkdir -p schema
    @cargo run --quiet -- schema > schema/plan.schema.json.new
    @mv schema/plan.schema.json.new schema/plan.schema.json

# Brings the lab up: a real Kubernetes with three nodes; `lab-up control-plane` needs no root and has no nodes.
[group('lab')]
[no-exit-message]
lab-up *LEVEL:
    @lab/up "$@"

# Stops the lab; what was built for it stays.
[group('lab')]
[no-exit-message]
lab-down:
    @lab/down

# Everything that continuous integration does, here.
[group('test')]
[no-exit-message]
ci:
    @.ci/run
