package wal

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"
)

// needs skips a test that lacks a tool, or fails it in CI, which has them all.
func needs(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%s is missing", tool)
			}
			t.Skipf("SKIPPED: %s is missing", tool)
		}
	}
}

// TestInjected lets the kernel kill the process, or fail it, at the Nth fsync,
// rename, write, removal and truncation.
func TestInjected(t *testing.T) {
	needs(t, "strace")
	o := newOracle(fastDir(t))
	if out, err := exec.Command("strace", "-f", "-o", "/dev/null", "-e", "inject=fsync:error=EIO", "true").CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: strace cannot trace here: %v: %s", err, out)
	}
	calls := []struct {
		name string
		most int // so many are made in a life, at least
	}{
		{"fsync", 60},
		{"rename,renameat,renameat2", 8},
		{"write", 300},
		{"unlink,unlinkat", 4},
		{"ftruncate", 2},
		{"openat", 40},
	}
	kinds := []string{"signal=KILL", "error=EIO", "error=ENOSPC", "error=EROFS"}
	rounds := lives(1, 4, 100)
	killed := 0
	for round := range rounds {
		for _, call := range calls {
			for _, kind := range kinds {
				if call.name == "openat" && kind != kinds[0] {
					kind = "error=EMFILE"
				}
				from := 1 + rand.IntN(call.most)
				when := fmt.Sprint(from)
				if kind != kinds[0] {
					when = fmt.Sprintf("%d..%d", from, from+rand.IntN(4))
				}
				what := fmt.Sprintf("round %d: %s of %s at %s", round, kind, call.name, when)
				o.troubled = kind != kinds[0]
				began := time.Now()
				o.life(t, what, []string{"strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call.name, "-e", fmt.Sprintf("inject=%s:%s:when=%s", call.name, kind, when)},
					[]string{lifeEnv + "=250ms"}, func(*exec.Cmd) {})
				if time.Since(began) < 200*time.Millisecond {
					killed++
				}
				if t.Failed() {
					return
				}
				o.check(t, what)
			}
		}
	}
	if killed == 0 || o.errors == 0 || o.total() == 0 {
		t.Errorf("%d processes were killed, %d failures, %d events acknowledged: want some of each", killed, o.errors, o.total())
	}
	t.Logf("%d lives, %d ended by an injected kill, %d failures survived, %d events acknowledged", rounds*len(calls)*len(kinds), killed, o.errors, o.total())
}

// TestFileSizeLimit: a limit that no file may exceed is a disk that is full in
// the middle of each segment. It needs no root.
func TestFileSizeLimit(t *testing.T) {
	o := newOracle(fastDir(t))
	o.troubled = true
	for cycle := range lives(3, 10, 100) {
		what := fmt.Sprint("cycle ", cycle)
		// The state must fit, so that what is finished can go.
		o.life(t, what, nil, []string{lifeEnv + "=120ms", fmt.Sprintf("%s=%d", fileSizeEnv, 9<<10+rand.IntN(60<<10))}, func(*exec.Cmd) {})
		if t.Failed() {
			return
		}
		o.check(t, what)
	}
	if o.errors == 0 || o.total() == 0 {
		t.Errorf("%d failures, %d events acknowledged: want some of each", o.errors, o.total())
	}
	t.Logf("%d failures survived, %d events acknowledged", o.errors, o.total())
}
