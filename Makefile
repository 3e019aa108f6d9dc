# What one does here most. Each target fetches what it needs and says so; `make` alone shows them.

.DEFAULT_GOAL := help
.PHONY: help run test test-users test-chat test-analytics test-gateway test-system test-clients chaos check bench fmt

# rustup installs into a place that a shell opened before does not look at yet.
# A Node that deploy/need had to fetch is in target/node.
export PATH := $(CURDIR)/target/node/node_modules/.bin:$(PATH):$(HOME)/.cargo/bin

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Start everything on port 8080 (SQLite in ./data, nothing else needed)
	@deploy/need cargo cc cmake
	@cargo run --release

test: ## All tests, with the minutes of each part
	@deploy/need cargo cc cmake curl node npm postgres psql redis-server redis-cli libnss_wrapper.so pg_dump python3-venv
	@deploy/tests servers kit users chat analytics gateway superapp clients

test-users: ## The users backend and the kit under it
	@deploy/need cargo cc cmake postgres pg_dump redis-server
	@deploy/tests kit users

test-chat: ## The chat backend
	@deploy/need cargo cc cmake postgres redis-server
	@deploy/tests chat

test-analytics: ## The analytics backend
	@deploy/need cargo cc cmake postgres
	@deploy/tests analytics

test-gateway: ## The gateway
	@deploy/need cargo cc cmake
	@deploy/tests gateway

test-system: ## The whole system from outside, the README, and the structure
	@deploy/need cargo cc cmake curl node npm postgres psql redis-server redis-cli libnss_wrapper.so pg_dump python3-venv
	@deploy/tests superapp

test-clients: ## The clients against a running superapp, and their package
	@deploy/need cargo cc cmake node npm
	@deploy/tests clients

chaos: ## Ten minutes of chat while everything around it breaks; CHAOS_SECONDS and CHAOS_SEED choose
	@deploy/need cargo cc cmake postgres redis-server
	@CHAOS_SECONDS=$${CHAOS_SECONDS:-600} cargo test -q -p superapp --test chaos -- --nocapture

check: ## Formatting, lints, and the absences that hold the structure
	@deploy/need cargo cc cmake cargo-fmt cargo-clippy
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets -- -D warnings
	@cargo test -q -p superapp --test structure

bench: ## What it costs: start-up, memory, slow clients, and the gateway beside nginx and HAProxy
	@deploy/need cargo cc cmake nginx haproxy wrk
	@cargo build --release -p superapp -p bench
	@target/release/bench start
	@target/release/bench sockets
	@target/release/bench drips
	@target/release/bench overload
	@target/release/bench peers

bench-gateway: ## Of these, the gateway beside nginx and HAProxy; ARGS="--cases small,echo" and the like choose
	@deploy/need cargo cc cmake nginx haproxy wrk
	@cargo build --release -p superapp -p bench
	@target/release/bench peers $(ARGS)

fmt: ## Format the code
	@cargo fmt --all
