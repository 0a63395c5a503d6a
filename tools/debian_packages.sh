#!/bin/sh
# Installs the packages of tools/debian-packages.txt that are missing, when it may (root, or sudo without a
# password); else names them in one line and ends with 3, so that what does not need them goes on.
# Nothing it installs is started: the tests start private servers of their own.
set -eu

LIST=${1:-tools/debian-packages.txt}

wanted() { sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$LIST"; }

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "packages: this is not Debian; tests need: $(wanted | tr '\n' ' ')"
    exit 3
fi

missing=
for package in $(wanted); do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    sudo=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    sudo='sudo -n'
else
    echo "packages: some tests will be skipped until you run: sudo apt-get install$missing"
    exit 3
fi

POLICY=/usr/sbin/policy-rc.d
made_policy=
log=$(mktemp)
tidy() {
    rm -f "$log"
    [ -z "$made_policy" ] || $sudo rm -f "$POLICY"
}
trap tidy EXIT
trap 'exit 1' INT TERM HUP

# Debian would make and start a cluster, and start other servers, as part of the installation.
if [ ! -e "$POLICY" ]; then
    made_policy=yes
    printf '#!/bin/sh\nexit 101\n' | $sudo tee "$POLICY" >/dev/null
    $sudo chmod 755 "$POLICY"
fi
case $missing in
*postgresql*)
    $sudo mkdir -p /etc/postgresql-common/createcluster.d
    echo 'create_main_cluster = false' | $sudo tee /etc/postgresql-common/createcluster.d/lapse.conf >/dev/null
    ;;
esac

$sudo apt-get update -qq >"$log" 2>&1 || echo "packages: the package lists could not be refreshed; trying with those at hand"
there=
for package in $missing; do
    # Some belong to one release of Debian, like what is built for one version of a server.
    if apt-cache show "$package" >/dev/null 2>&1; then
        there="$there $package"
    else
        echo "packages: this Debian has no $package; the tests that need it are skipped"
    fi
done
missing=$there
[ -n "$missing" ] || exit 0

echo "packages: installing$missing"
# shellcheck disable=SC2086  # the list is meant to be split
if ! $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    echo "packages: could not install$missing" >&2
    exit 1
fi
