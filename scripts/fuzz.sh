#!/bin/sh
# Runs every fuzz target of every package for the given time each (default 30s).
set -eu
cd "$(dirname "$0")/.."
time=${1:-30s}
GO=${GO:-go}
for package in $($GO list ./...); do
	for target in $($GO test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		echo "== $package $target"
		$GO test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package"
	done
done
