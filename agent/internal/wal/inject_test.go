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
	t.Parallel()
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
	killed, count := 0, 0
	life := 250 * time.Millisecond // behind the first word, which comes when it comes
	for round := range rounds {
		for _, call := range calls {
			pick := 1 + rand.IntN(len(kinds)-1) // the short form tries one error of each call
			for i, kind := range kinds {
				if !torture && i > 0 && i != pick {
					continue
				}
				if call.name == "openat" && kind != kinds[0] {
					kind = "error=EMFILE"
				}
				from := 1 + rand.IntN(call.most)
				when := fmt.Sprint(from)
				if kind != kinds[0] {
					when = fmt.Sprintf("%d..%d", from, from+rand.IntN(4))
				}
				if round == 0 && call.name == "fsync" {
					when = "2" // these are sure to be met
					if kind != kinds[0] {
						when = "2+"
					}
				}
				what := fmt.Sprintf("round %d: %s of %s at %s", round, kind, call.name, when)
				o.troubled = kind != kinds[0]
				o.life(t, what, []string{"strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call.name, "-e", fmt.Sprintf("inject=%s:%s:when=%s", call.name, kind, when)},
					[]string{lifeEnv + "=" + life.String()}, func(*exec.Cmd) {})
				count++
				if kind == kinds[0] && !o.ended {
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
	t.Logf("%d lives, %d ended by an injected kill, %d failures survived, %d events acknowledged", count, killed, o.errors, o.total())
}

// TestFileSizeLimit: a limit that no file may exceed is a disk that is full in
// the middle of each segment. It needs no root.
func TestFileSizeLimit(t *testing.T) {
	t.Parallel()
	o := newOracle(fastDir(t))
	o.troubled = true
	most := lives(20, 40, 200)
	for cycle := 0; cycle < most && (cycle < most/7 || o.errors == 0); cycle++ {
		what := fmt.Sprint("cycle ", cycle)
		limit := fmt.Sprintf("%s=%d", fileSizeEnv, 9<<10+rand.IntN(60<<10)) // the state must fit
		o.life(t, what, nil, []string{limit}, func(cmd *exec.Cmd) {
			<-o.spoke
			time.Sleep(80 * time.Millisecond) // so that it meets the limit
			cmd.Process.Kill()
		})
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
