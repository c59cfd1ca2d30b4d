package packaging_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/adrian207/siemd/packaging/sandbox"
)

const unitFile = "systemd/siemd.service"

// stagedUnit is the unit with a drop-in, maybe, and this test in the place of siemd.
func stagedUnit(t *testing.T, dropIn string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "siemd.service")
	write(t, path, strings.ReplaceAll(read(t, unitFile), "/usr/bin/siemd", self))
	if dropIn != "" {
		write(t, filepath.Join(path+".d", filepath.Base(dropIn)), read(t, dropIn))
	}
	return path
}

func dropIns(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("../systemd/drop-ins/*.conf")
	if err != nil || len(paths) < 5 {
		t.Fatalf("drop-ins: %v, %v", paths, err)
	}
	for i, p := range paths {
		paths[i] = strings.TrimPrefix(p, "../")
	}
	return paths
}

// systemd takes the unit, with each of the drop-ins, without a word, and finds it little exposed.
func TestUnit(t *testing.T) {
	t.Parallel()
	analyze := tool(t, "systemd-analyze")
	overall := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`)
	for _, dropIn := range append([]string{""}, dropIns(t)...) {
		t.Run(filepath.Base(dropIn), func(t *testing.T) {
			t.Parallel()
			path := stagedUnit(t, dropIn)
			if r := finish(t, exec.Command(analyze, "verify", "--man=no", path)); r.code != 0 || ownLines(r.err) != "" {
				t.Errorf("verify: exit code %d\n%s", r.code, r.err)
			}
			r := finish(t, exec.Command(analyze, "security", "--offline=true", "--no-pager", "--threshold=19", path))
			m := overall.FindStringSubmatch(r.out)
			if m == nil {
				t.Fatalf("security says nothing:\n%s%s", r.out, r.err)
			}
			t.Logf("exposure %s", m[1])
			limit := 1.5 // 1.3 but for what a drop-in opens
			if dropIn == "" {
				limit = 1.3
			}
			if score, _ := strconv.ParseFloat(m[1], 64); r.code != 0 || score > limit {
				t.Errorf("exposure %s, want at most %v; exit code %d", m[1], limit, r.code)
			}
		})
	}
}

// ownLines are those about siemd; systemd also complains about other units of the machine.
func ownLines(text string) string {
	var own []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, "siemd") {
			own = append(own, line)
		}
	}
	return strings.Join(own, "")
}

// What the unit relies on is what the command does.
func TestUnitAndCommand(t *testing.T) {
	t.Parallel()
	unit := read(t, unitFile)
	help := helpTexts{t: t}
	for _, key := range []string{"ExecStart", "ExecReload"} {
		for _, line := range sandbox.Setting(unit, key) {
			words := strings.Fields(strings.TrimPrefix(line, "/usr/bin/"))
			if why := help.wrong(words); why != "" {
				t.Errorf("%s=%s: %s", key, line, why)
			}
		}
	}
	// A config with a mistake gives an exit code that is not tried again.
	path := filepath.Join(t.TempDir(), "siemd.yaml")
	write(t, path, "inputs: {x: {type: nothing}}\n")
	prevented := strings.Fields(sandbox.Setting(unit, "RestartPreventExitStatus")[0])
	for _, args := range [][]string{{"run", "-c", path}, {"run", "--nonsense"}} {
		if r := siemd(t, args...); !slices.Contains(prevented, strconv.Itoa(r.code)) {
			t.Errorf("siemd %v: exit code %d is none of %v", args, r.code, prevented)
		}
	}
	// One agent may not start while another one stops.
	stop, err := time.ParseDuration(sandbox.Setting(unit, "TimeoutStopSec")[0])
	if err != nil || stop < 45*time.Second {
		t.Errorf("TimeoutStopSec is %v: not twice shutdown_timeout", stop)
	}
}
