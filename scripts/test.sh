#!/bin/sh
# Runs every check and every test and prints the time of each part. Arguments go
# to the script runner (-all: each script through both doors in both protocols).
# The output of a part is shown only if it fails; skipped tests always are.
set -u
cd "$(dirname "$0")/.." || exit 1
PATH="$PWD/.node/node_modules/.bin:$PATH"
export PATH
GO=${GO:-go}
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
trap 'exit 130' INT TERM
summary='' failed='' began=$(date +%s)
passed=0 wrong=0 skipped=0

# part NAME COMMAND... runs one part; a failure does not keep the others from
# running.
part() {
	name=$1
	shift
	printf '== %s\n' "$name"
	start=$(date +%s)
	if "$@" >"$logs/out" 2>&1; then
		result=ok
		grep -E '^test-deps:|^not tested' "$logs/out"
		grep -A 3 -E '^ *--- SKIP' "$logs/out" | grep -E 'SKIP|_test.go:'
		grep -E '^ *[a-z_]+_test.go:[0-9]+: seed ' "$logs/out"
	else
		result=FAILED
		failed="$failed $name"
		grep -v -E '^(=== (RUN|PAUSE|CONT|NAME)|ok |\? |PASS$| *--- PASS)' "$logs/out"
	fi
	passed=$((passed + $(grep -c -E '^ *--- PASS' "$logs/out")))
	wrong=$((wrong + $(grep -c -E '^ *--- FAIL' "$logs/out")))
	skipped=$((skipped + $(grep -c -E '^ *--- SKIP' "$logs/out")))
	seconds=$(($(date +%s) - start))
	summary="$summary$(printf '%6ss  %-22s %s' "$seconds" "$name" "$result")
"
}

lint() {
	$GO vet ./... && $GO tool staticcheck ./...
}

# The race detector needs a C compiler.
if command -v gcc >/dev/null 2>&1; then
	race=-race
	CGO_ENABLED=1
	export CGO_ENABLED
else
	race=
fi

build() {
	CGO_ENABLED=0 $GO build -o bin/synap ./cmd/synap || return 1
	[ -n "$race" ] || echo "not tested: data races (gcc is missing)"
	$GO test -c $race -o bin/blackbox.test ./tests
}

unit() {
	$GO test $race -v $($GO list ./... | grep -v -E '^synap(/tests)?$')
}

# tests/ is built once and run in parts, each from its own folder as go test does.
blackbox() (
	cd tests && ../bin/blackbox.test -test.v -test.timeout 15m "$@"
)

part dependencies scripts/test-deps.sh
part build build
part 'vet, staticcheck' lint
part tidy $GO test -count=1 -v .
part unit unit
# What counts bytes or allocations says nothing under the race detector.
part memory $GO test -v -count=1 -run 'Allocat|Killers|AnnouncementsAreFree|IdleMemory' ./resp ./command ./store ./server ./limiter ./metrics
part scripts blackbox -test.run '^TestScripts$' "$@"
part differential blackbox -test.run '^TestDifferential$'
part 'black box' blackbox -test.skip '^(TestScripts|TestDifferential)$'

printf '\n%s%6ss  all\n' "$summary" "$(($(date +%s) - began))"
[ -z "$failed" ] || echo "FAILED:$failed"
printf 'tests: %d passed, %d failed, %d skipped\n' "$passed" "$wrong" "$skipped"
[ -z "$failed" ]
