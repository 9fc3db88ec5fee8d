# shellcheck shell=bash
# What the tests use beside Rust, Go, Node and Python. Commands that are there are not installed
# again; Python packages go into an environment of their own outside the checkout.

ci_home=${XDG_CACHE_HOME:-$HOME/.cache}/lariat/ci

# Each command, and the Debian package that has it.
ci_commands=(
    shellcheck:shellcheck openssl:openssl ip:iproute2 findmnt:util-linux mount:mount flock:util-linux
    git:git python3:python3 chromium:chromium
)

# Parsers that are not ours read our JUnit, and taplo reads the plans by their schema.
ci_python=(junitparser==5.0.3 lxml==6.1.3 taplo==0.9.3)

bring_tools() {
    local each packages=()
    for each in "${ci_commands[@]}"; do
        command -v "${each%%:*}" >/dev/null || packages+=("${each#*:}")
    done
    python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)
    if ((${#packages[@]} > 0)); then
        if ((EUID != 0)); then
            printf 'ci: these Debian packages are missing and installing needs root: %s\n' "${packages[*]}"
            return 1
        fi
        apt-get -qq update
        apt-get -qq install --yes --no-install-recommends "${packages[@]}" >/dev/null
    fi
    if [[ ! -f $ci_home/python/installed || $(<"$ci_home/python/installed") != "${ci_python[*]}" ]]; then
        mkdir -p -- "$ci_home"
        python3 -m venv --clear "$ci_home/python"
        "$ci_home/python/bin/python" -m pip install --quiet --disable-pip-version-check "${ci_python[@]}"
        printf '%s\n' "${ci_python[*]}" >"$ci_home/python/installed"
    fi
}

use_tools() { export PATH=$ci_home/python/bin:$PATH; }
