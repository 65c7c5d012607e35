# Everything a developer types. `make help` lists it.
SHELL := /bin/sh
GO    ?= go
ARGS  ?=
# Where test-deps puts a newer Node than the system's.
export PATH := $(CURDIR)/.node/node_modules/.bin:$(PATH)

.PHONY: help run build test test-deps test-all bench bench-quick bench-cost loadtest chaostest killtest powertest fuzz lint docs vuln pgo clean
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## build and start the server: make run ARGS="--port 6380"
	@exec ./bin/synap $(ARGS)

build: ## bin/synap
	@CGO_ENABLED=0 $(GO) build -o bin/synap ./cmd/synap

test: ## every check and every test, with the race detector; prints time by part
	@scripts/test.sh

test-all: ## like test, each script through both doors in both protocols
	@scripts/test.sh -all

test-deps: ## install what the tests compare with: gcc, redis, prometheus, strace, node
	@scripts/test-deps.sh

bench: build ## the whole table of speeds against redis-server
	@$(GO) run ./bench -full

bench-quick: build ## the rows that every change must keep, under two minutes a door
	@$(GO) run ./bench

bench-cost: ## what metrics and limiter cost a command, in process, over ten alternating runs
	@$(GO) run ./bench -costs

loadtest: build ## a mixed load, then every counter against what it did: make loadtest DURATION=10s
	@$(GO) run ./bench/loadtest -duration $(or $(DURATION),1m)

chaostest: ## a million messages through queues whose consumers come and go: make chaostest SEED=2
	@$(GO) test -count=1 -timeout 30m ./tests -run '^TestQueueChaos$$' -v -args -messages $(or $(MESSAGES),1000000) -seed $(or $(SEED),1)

killtest: ## a thousand kills under load, each followed by a look at everything that was acknowledged
	@$(GO) test -count=1 -timeout 60m ./tests -run '^TestKills$$' -v -args -kills $(or $(KILLS),1000)

powertest: ## a hundred thousand simulated power cuts
	@$(GO) test -count=1 -timeout 30m ./journal -run '^TestPowerCuts$$' -v -args -cuts $(or $(CUTS),100000)

fuzz: ## every fuzz target in turn: make fuzz FUZZTIME=5m
	@scripts/fuzz.sh $(FUZZTIME)

lint: ## vet, staticcheck, tidy; builds for darwin and windows too
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) test .
	GOOS=darwin $(GO) build ./...
	GOOS=windows $(GO) build ./...

docs: ## write the generated documents anew
	@$(GO) test ./config -run '^TestDocsFresh$$' -update
	@$(GO) test ./metrics -run '^TestDocsFresh$$' -update
	@$(GO) test ./deploy -run '^TestDashboardsAreFresh$$' -update
	@mkdir -p docs bin && $(GO) run ./cmd/synap --print-commands >bin/commands.md && mv bin/commands.md docs/commands.md

vuln: ## known vulnerabilities in what is built in
	$(GO) tool govulncheck ./...

pgo: build ## refresh cmd/synap/default.pgo, the profile that guides the compiler
	@scripts/pgo.sh

clean: ## remove what was built
	@rm -rf bin
