# What one does here most. Each target fetches what it needs and says so; `make` alone shows them.

.DEFAULT_GOAL := help
.PHONY: help run app test test-users test-chat test-analytics test-gateway test-system test-clients test-compose test-units chaos check bench fmt \
	up down logs ps seed backup psql redis-cli rebuild load install uninstall

# rustup installs into a place that a shell opened before does not look at yet.
# A Node that deploy/need had to fetch is in target/node.
export PATH := $(CURDIR)/target/node/node_modules/.bin:$(PATH):$(HOME)/.cargo/bin

# The web app, once `make app` has built it: served under /app/ by what is started here.
APP := $(patsubst %/index.html,./%,$(wildcard clients/react-native/dist/web/index.html))
export SUPERAPP_APP ?= $(APP)

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: ## Start the production shape by compose; a=--scale=chat=4 and the like
	@docker compose up -d --build $(a)

down: ## Stop it; the data stays (`docker compose down -v` forgets it)
	@docker compose down

logs: ## Follow its logs; s=chat for one service
	@docker compose logs -f --tail 100 $(s)

ps: ## Its containers, and how they are
	@docker compose ps

seed: ## Demo users and messages into it
	@docker compose exec gateway superapp seed

backup: ## All its data into ./backups, while it runs; to=monday names the folder
	@docker compose run --rm tools backup /backups/$(or $(to),$(shell date -u +%Y-%m-%dT%H%M%S))

psql: ## A prompt in its database
	@docker compose exec postgres sh -c 'exec psql -U "$$POSTGRES_USER" -d "$$POSTGRES_DB"'

redis-cli: ## A prompt in its Redis
	@docker compose exec redis redis-cli

rebuild: ## Build the image and replace a service, one container after the other: make rebuild s=chat
	@deploy/roll $(s)

load: ## Half a minute of load on a running system, and a table; URL=http://localhost:8080
	@deploy/load $(URL)

run: ## Start everything on port 8080 (SQLite in ./data, nothing else needed)
	@deploy/need cargo cc cmake
	@cargo run --release -- $(if $(SUPERAPP_APP),--set gateway.app_dir=$(SUPERAPP_APP))

app: ## Build the web app, which `make run` and `make up` then serve under /app/
	@deploy/need node npm
	@cd clients/react-native && npm ci --no-fund && npm run export:web

test: ## All tests, with the minutes of each part
	@deploy/need cargo cc cmake curl node npm postgres psql redis-server redis-cli libnss_wrapper.so pg_dump python3-venv chromium
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
	@deploy/need cargo cc cmake node npm postgres redis-server redis-cli chromium
	@deploy/tests clients

test-compose: ## The production shape by compose, from outside, while it is scaled, broken and updated (needs a container engine)
	@deploy/need cargo cc cmake docker
	@cargo test -q -p superapp --test compose -- --ignored --nocapture

test-units: ## The systemd units, as they are installed
	@deploy/need systemd-analyze
	@deploy/test-units

chaos: ## Ten minutes of chat while everything around it breaks; CHAOS_SECONDS and CHAOS_SEED choose
	@deploy/need cargo cc cmake postgres redis-server
	@CHAOS_SECONDS=$${CHAOS_SECONDS:-600} cargo test -q -p superapp --test chaos -- --nocapture

check: ## Formatting, lints, and the absences that hold the structure
	@deploy/need cargo cc cmake cargo-fmt cargo-clippy
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets -- -D warnings
	@cargo test -q -p superapp --test structure --test operations

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

install: ## Onto this machine, as systemd units (as root; DESTDIR= and PREFIX=/usr/local choose); then docs/operations.md
	@test -x target/dist/superapp || cargo build --profile dist -p superapp
	@deploy/install target/dist/superapp

uninstall: ## Off this machine again; data and settings stay
	@deploy/install --remove

fmt: ## Format the code
	@cargo fmt --all
