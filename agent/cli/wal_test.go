package cli

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent/internal/supervisor"
	"github.com/adrian207/siemd/agent/internal/wal"
	"github.com/adrian207/siemd/agent/plugintest"
)

// blockMagic begins each block of the log.
var blockMagic = []byte("\xf5SWB")

// threeBlocks is an agent that has taken three events, each in a block of its
// own, and the file that they are in.
func threeBlocks(t *testing.T) (a *running, segment string) {
	t.Helper()
	a = startSiemd(t, "inputs: {web: {type: http, listen: "+plugintest.FreeAddr(t)+"}}\n")
	for i := range 3 {
		a.siemd(fmt.Sprintf("{\"event_id\":\"e%d\"}\n", i), "send").want(t, exitOK)
	}
	segments, err := filepath.Glob(filepath.Join(filepath.Dir(a.conf), "state", "wal", "0*"))
	if err != nil || len(segments) != 1 {
		t.Fatal(segments, err)
	}
	return a, segments[0]
}

// change rewrites the file in place, as a bad disk would. f is told where the
// blocks with events are; others hold what the HTTP input remembers.
func change(t *testing.T, path string, f func(data []byte, blocks []int) []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []int
	for at := 0; ; at++ {
		n := bytes.Index(data[at:], blockMagic)
		if n < 0 {
			break
		}
		if at += n; binary.LittleEndian.Uint32(data[at+32:]) > 0 {
			blocks = append(blocks, at)
		}
	}
	if len(blocks) != 3 {
		t.Fatalf("%d blocks, want 3", len(blocks))
	}
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	data = f(data, blocks)
	if _, err := file.WriteAt(data, 0); err != nil {
		t.Fatal(err)
	}
	if err := file.Truncate(int64(len(data))); err != nil {
		t.Fatal(err)
	}
}

// payload is where that of the block at at begins.
func payload(data []byte, at int) int { return at + int(binary.LittleEndian.Uint32(data[at+8:])) }

// TestWALDamage: ls, verify and dump say with exit code 2 that something is
// damaged, of a running and of a stopped agent, and repair makes it good.
func TestWALDamage(t *testing.T) {
	const clean, found = exitOK, exitFound
	tests := []struct {
		name             string
		live             bool // the damage is done under a running agent
		damage           func(data []byte, blocks []int) []byte
		ls, verify, dump int
		left             string // ids that dump writes
		quarantined      bool
	}{
		{"nothing", true, func(data []byte, _ []int) []byte { return data }, clean, clean, clean, "e0 e1 e2", false},
		{"header", true, func(data []byte, b []int) []byte { data[b[1]+40] ^= 1; return data }, found, found, found, "e0 e2", true},
		{"magic", false, func(data []byte, b []int) []byte { data[b[1]] ^= 0x10; return data }, found, found, found, "e0 e2", true},
		{"first header", false, func(data []byte, b []int) []byte { data[b[0]+20] ^= 1; return data }, found, found, found, "e1 e2", true},
		{"payload", true, func(data []byte, b []int) []byte { data[payload(data, b[1])] ^= 1; return data }, clean, found, found, "e0 e2", true},
		{"cut in a block", false, func(data []byte, b []int) []byte { return data[:b[2]+100] }, found, found, found, "e0 e1", true},
		{"cut between blocks", false, func(data []byte, b []int) []byte { return data[:b[2]-2] }, found, found, found, "e0 e1", false},
		{"unfinished write", false, func(data []byte, b []int) []byte { return append(data, data[b[2]-2:b[2]+100]...) }, clean, clean, clean, "e0 e1 e2", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, segment := threeBlocks(t)
			look := func(state string, ls, verify, dump int) {
				t.Helper()
				for _, c := range []struct {
					args string
					code int
				}{{"ls", ls}, {"ls --json", ls}, {"verify", verify}, {"verify --json", verify}, {"dump", dump}, {"dump --json", dump}} {
					got := a.siemd("", append([]string{"wal"}, strings.Fields(c.args)...)...)
					if got.code != c.code {
						t.Errorf("%s: wal %s: exit %d, want %d\n%s%s", state, c.args, got.code, c.code, got.out, got.err)
					}
					if told := strings.Contains(got.out+got.err, "DAMAGE") || strings.Contains(got.out, `"reason":`); told != (c.code == found) {
						t.Errorf("%s: wal %s: exit %d, and it says\n%s%s", state, c.args, got.code, got.out, got.err)
					}
				}
				var left []string
				for _, id := range []string{"e0", "e1", "e2"} {
					if strings.Contains(a.siemd("", "wal", "dump").out, `"`+id+`"`) {
						left = append(left, id)
					}
				}
				if got := strings.Join(left, " "); got != tt.left {
					t.Errorf("%s: dump writes %q, want %q", state, got, tt.left)
				}
			}
			if tt.live {
				change(t, segment, tt.damage)
				look("running", tt.ls, tt.verify, tt.dump)
				a.siemd("", "wal", "repair").want(t, exitCannotMake, "repairs its log by itself")
			}
			a.stop()
			if !tt.live {
				change(t, segment, tt.damage)
			}
			look("stopped", tt.ls, tt.verify, tt.dump)
			var done wal.RepairReport
			if err := json.Unmarshal([]byte(a.siemd("", "wal", "repair", "--json").want(t, exitOK).out), &done); err != nil {
				t.Fatal(err)
			}
			if done.Before.Clean() != (tt.verify == clean) || !done.After.Clean() || (done.After.Files > 0) != tt.quarantined {
				t.Errorf("repair says %+v", done)
			}
			a.siemd("", "wal", "repair").want(t, exitOK, "clean")
			look("repaired", clean, clean, clean)
		})
	}
}

// TestStatusShowsQuarantine: what was set aside stays in sight, also after
// the start at which it happened.
func TestStatusShowsQuarantine(t *testing.T) {
	a, segment := threeBlocks(t)
	if got := a.siemd("", "status").want(t, exitOK); strings.Contains(got.out, "quarantine") {
		t.Errorf("nothing is set aside:\n%s", got.out)
	}
	a.stop()
	change(t, segment, func(data []byte, b []int) []byte { data[payload(data, b[1])] ^= 1; return data })
	for _, start := range []string{"first", "second"} {
		a = a.again()
		a.siemd("", "status").want(t, exitOK, "quarantine: 1 file", "1 event by their headers")
		var st supervisor.Status
		if err := json.Unmarshal([]byte(a.siemd("", "status", "--json").want(t, exitOK).out), &st); err != nil ||
			st.Log.Quarantined != 1 || st.Log.QuarantinedBytes == 0 || st.Log.QuarantinedEvents != 1 {
			t.Errorf("%s start: %v %+v", start, err, st.Log)
		}
		a.stop()
	}
	a.siemd("", "wal", "verify").want(t, exitFound, "quarantine: 1 file", "1 event by their headers")
}

// TestWALWithoutSegments: a log whose files are all gone is damaged, not empty.
func TestWALWithoutSegments(t *testing.T) {
	a, segment := threeBlocks(t)
	a.stop()
	if err := os.Remove(segment); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"wal", "ls"}, {"wal", "ls", "--json"}, {"wal", "dump"}, {"wal", "verify"}} {
		got := a.siemd("", args...)
		if got.code != exitFound || !strings.Contains(got.out+got.err, "DAMAGE") {
			t.Errorf("%v: exit %d\n%s%s", args, got.code, got.out, got.err)
		}
	}
}
