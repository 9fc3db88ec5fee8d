# shellcheck shell=bash
# All of the lab's rooms, in the order in which they may know each other.
lib=$(dirname -- "${BASH_SOURCE[0]}")
# shellcheck source=home.sh
. "$lib/home.sh"
# shellcheck source=process.sh
. "$lib/process.sh"
# shellcheck source=parts.sh
. "$lib/parts.sh"
# shellcheck source=certificates.sh
. "$lib/certificates.sh"
# shellcheck source=control-plane.sh
. "$lib/control-plane.sh"
# shellcheck source=images.sh
. "$lib/images.sh"
# shellcheck source=nodes.sh
. "$lib/nodes.sh"
# shellcheck source=whole.sh
. "$lib/whole.sh"
