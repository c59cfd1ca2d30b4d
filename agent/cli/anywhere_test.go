package cli

import (
	"strings"
	"testing"
)

func TestCommandFirst(t *testing.T) {
	f := func(args, want string) {
		t.Helper()
		if got := strings.Join(commandFirst(newRoot(streams{}), strings.Fields(args)), " "); got != want {
			t.Errorf("%s: %s, want %s", args, got, want)
		}
	}
	f("status -c x", "status -c x")
	f("-c x status --json", "status -c x --json")
	f("--json --socket s status", "status --json --socket s")
	f("-c x failed --json ls --limit 3", "failed ls -c x --json --limit 3")
	f("failed --connection ls ls", "failed ls --connection ls")
	f("--connection=ls failed ls", "failed ls --connection=ls")
	f("--input status explain {}", "explain --input status {}")
	f("failed show ls", "failed show ls")
	f("-h", "-h")
	f("--json", "--json")
	f("-- status", "-- status")
	f("explain status", "explain status")
	f("-c x wal --from 3 dump", "wal dump -c x --from 3")
	f("", "")
}

func TestFlagsAnywhere(t *testing.T) {
	conf := tempFile(t, "siemd.yaml", "inputs: {a: {type: stdin}}")
	siemd(t, "", "-c", conf, "check", "--json").want(t, exitOK, `"ok":true`)
	siemd(t, "", "--json", "-c", conf, "check").want(t, exitOK, `"ok":true`)
	siemd(t, "", "--jsno", "-c", conf, "check").want(t, exitUsage, "unknown flag")
	siemd(t, "", "-c", conf, "wal", "--dir", t.TempDir(), "ls").want(t, exitIO, "no such file")
	siemd(t, "", "nonsense").want(t, exitUsage, "unknown command")
	siemd(t, "").want(t, exitUsage, "siemd demo")
	siemd(t, "", "failed").want(t, exitUsage, "ls")
	siemd(t, "", "failed", "nonsense").want(t, exitUsage, "unknown command")
}
