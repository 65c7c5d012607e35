#!/bin/sh
# Installs what the tests need and this machine lacks. Starts no service.
# Without root or apt it only says what is missing: those tests are then skipped
# by name. With CI set a missing program is an error.
set -u
cd "$(dirname "$0")/.." || exit 1
NODE_MIN=20

have() { command -v "$1" >/dev/null 2>&1; }

node_major() {
	have node && node --version 2>/dev/null | sed -n 's/^v\([0-9]*\)\..*/\1/p'
}

node_is_old() {
	major=$(node_major)
	[ "${major:-0}" -lt "$NODE_MIN" ]
}

# program:package, one a line; prints the packages of what is missing.
missing_packages() {
	for pair in gcc:gcc redis-server:redis-server redis-cli:redis-tools redis-benchmark:redis-tools \
		prometheus:prometheus promtool:prometheus strace:strace node:nodejs npm:npm; do
		have "${pair%%:*}" || echo "${pair##*:}"
	done | sort -u
	# gcc without the C library's headers cannot build for the race detector.
	[ -e /usr/include/stdlib.h ] || [ "$(uname)" != Linux ] || echo libc6-dev
}

apt_install() {
	# invoke-rc.d asks this program; 101 means: do not start anything.
	policy=/usr/sbin/policy-rc.d made=
	if [ ! -e $policy ]; then
		printf '#!/bin/sh\nexit 101\n' >$policy && chmod +x $policy && made=1
	fi
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
	status=$?
	[ -z "$made" ] || rm -f $policy
	return $status
}

packages=$(missing_packages | tr '\n' ' ')
if [ -n "$packages" ]; then
	if [ "$(id -u)" = 0 ] && have apt-get; then
		echo "test-deps: installing $packages"
		log=$(mktemp)
		if ! { apt-get update -q && apt_install $packages; } >"$log" 2>&1; then
			tail -n 20 "$log"
		fi
		rm -f "$log"
	else
		echo "test-deps: cannot install $packages(needs root and apt-get)"
	fi
fi

# Debian's nodejs may be older than the clients need; npm has newer ones.
PATH="$PWD/.node/node_modules/.bin:$PATH"
if have npm && node_is_old; then
	echo "test-deps: node is older than $NODE_MIN, fetching one into .node"
	mkdir -p .node
	npm install --silent --no-audit --no-fund --no-save --prefix .node "node@22" || echo "test-deps: npm could not fetch node"
fi

status=0
for program in gcc redis-server redis-cli redis-benchmark prometheus promtool strace npm; do
	have $program || { echo "test-deps: $program is missing: tests that need it are skipped"; status=1; }
done
if node_is_old; then
	echo "test-deps: node >= $NODE_MIN is missing: tests that need it are skipped"
	status=1
fi
case "${CI:-}" in
1 | true) exit $status ;;
esac
