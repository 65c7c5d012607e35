#!/bin/sh
# Records cmd/synap/default.pgo: a CPU profile of the server under the loads of
# the benchmarks. `go build` uses the file by itself.
set -eu
cd "$(dirname "$0")/.."
port=${PGO_PORT:-7379} side=${PGO_SIDE:-7380} seconds=${PGO_SECONDS:-60}
new=$(mktemp)
./bin/synap --port "$port" --http-port "$side" --http-pprof yes --bind 127.0.0.1 --appendonly no --save "" --log-format json >/dev/null &
server=$!
trap 'kill $server 2>/dev/null; rm -f "$new"' EXIT
until redis-cli -p "$port" PING >/dev/null 2>&1; do
	kill -0 $server || exit 1
	sleep 0.2
done
pipe() {
	redis-benchmark -p "$port" -q -n 50000 -r 5000 -P 16 "$@" >/dev/null
}
curl -sf -o "$new" "http://127.0.0.1:$side/debug/pprof/profile?seconds=$seconds" &
profile=$!
while kill -0 $profile 2>/dev/null; do
	redis-benchmark -p "$port" -q -n 50000 -r 100000 -d 64 -t set,get >/dev/null
	redis-benchmark -p "$port" -q -n 200000 -r 100000 -d 64 -P 16 -t set,get,incr,lpush,rpop,mset,lrange_100 >/dev/null
	redis-benchmark -p "$port" -q -n 100000 -r 100000 -d 64 -P 16 -t hset,sadd,zadd,zpopmin,spop >/dev/null
	pipe hset hash:__rand_int__ field:05 xxxxxxxxxxxxxxxx
	pipe hget myhash element:__rand_int__
	pipe sismember myset element:__rand_int__
	pipe zadd zset:__rand_int__ __rand_int__ element:__rand_int__
	pipe zadd scores __rand_int__ element:__rand_int__
	pipe zrange scores 0 9
	pipe pfadd visitors element:__rand_int__
	pipe xadd stream:__rand_int__ '*' field xxxxxxxxxxxxxxxx
	pipe lpush list:__rand_int__ xxxxxxxxxxxxxxxx
	pipe xadd mystream '*' field xxxxxxxxxxxxxxxx
	pipe setbit bitmap:__rand_int__ 1000 1
	pipe qpublish jobs:__rand_int__ xxxxxxxxxxxxxxxx
	pipe qconsume jobs:__rand_int__ worker
done
wait $profile
[ -s "$new" ] || exit 1
cat "$new" >cmd/synap/default.pgo
ls -l cmd/synap/default.pgo
