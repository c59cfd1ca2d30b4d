VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  = -s -w -X github.com/adrian207/siemd/agent/cli.version=$(VERSION)
RACE    := $(if $(shell command -v gcc || command -v cc),-race,)
FUZZTIME ?= 5s

STATICCHECK = go run honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOFUMPT     = go run mvdan.cc/gofumpt@v0.12.0

.PHONY: build test check lint race fuzz bench bench-e2e pgo torture zoo package packagetest install clean

# bench/siemd.pgo says where the time goes: the compiler makes that faster, by a tenth.
build:
	CGO_ENABLED=0 go build -trimpath -pgo=bench/siemd.pgo -ldflags "$(LDFLAGS)" -o siemd .

test:
	@test -n "$(RACE)" || echo "*** no C compiler: tests run WITHOUT the race detector (apt-get install gcc) ***"
	go test $(RACE) -shuffle=on -timeout 25m ./...

check: lint
	go test -short ./...

lint:
	go vet ./...
	GOARCH=386 CGO_ENABLED=0 go vet ./... # 32 bits
	@out=$$($(GOFUMPT) -l .); test -z "$$out" || { echo "gofumpt would change:"; echo "$$out"; exit 1; }
	$(STATICCHECK) -tests=false ./...
	$(STATICCHECK) -checks "inherit,-U1000,-ST1005" ./...

race:
	go test -race -shuffle=on -count=3 ./...

# Whole lives of an output: faults, crashes and restarts in any order, thousands of them in simulated time.
SEEDS ?= 2000
.PHONY: seeds
seeds:
	SIEMD_SEEDS=$(SEEDS) go test -run '^TestSimulation$$' ./agent/internal/delivery

fuzz:
	./.ci/fuzz $(FUZZTIME)

bench:
	go test -run '^$$' -bench Codecs -benchtime 1x ./codecs/internal/figures
	go test -run '^$$' -bench . -benchmem ./...

# The check of every event beside other JSON libraries, in a module of its own.
.PHONY: bench-json
bench-json:
	cd agent/internal/intake/jsonbench && go test -v -bench . -benchtime 1x .

# The whole agent against a floor and whatever other agents are installed; see docs/performance.md.
BENCH ?= -reps 3
bench-e2e: build
	@mkdir -p dist/bench && cp siemd dist/bench/
	go build -o dist/bench/siemd-floor ./bench/floor
	go run ./bench -bin dist/bench -o dist/bench/results.jsonl $(BENCH)

# After changes to what is hot: profiles of all targets become the one for the compiler.
pgo: build
	@mkdir -p dist/pgo && cp siemd dist/pgo/
	for t in hec elastic syslog; do go run ./bench -bin dist/pgo -agents siemd -targets $$t -n 3000000 -profile dist/pgo/$$t.prof || exit 1; done
	go tool pprof -proto dist/pgo/*.prof >bench/siemd.pgo

# Hours: every promise against as many trials as it takes. TORTURE=-short is the form that make test runs.
torture:
	go run ./bench/torture $(TORTURE)

# Each patch of the zoo breaks one promise; the tests must notice.
zoo:
	./.ci/zoo/run

# deb, rpm, tar.gz and SBOM for amd64 and arm64, with checksums; the same bytes from the same sources.
package:
	./packaging/build dist

# Builds them twice, and installs, runs, upgrades and removes them in a chroot: as root, with debootstrap, lintian and rpm.
packagetest:
	SIEMD_PACKAGE_TEST=1 go test -v -timeout 30m -run TestPackage ./packaging/

# For systems without a package: make install, or make install DESTDIR=/tmp/root PREFIX=/usr
install: build
	./packaging/install siemd siemd "$(DESTDIR)" "$(or $(PREFIX),/usr/local)"

clean:
	rm -rf siemd dist
