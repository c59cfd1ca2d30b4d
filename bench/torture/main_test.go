package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPromises: every promise names tests that exist.
func TestPromises(t *testing.T) {
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)
	for _, p := range promises {
		names := map[string]bool{}
		files, err := filepath.Glob(filepath.Join("../..", p.pkg, "*_test.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no tests in %s: %v", p.text, p.pkg, err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range declared.FindAllSubmatch(b, -1) {
				names[string(m[1])] = true
			}
		}
		prefix, list, group := strings.Cut(strings.Trim(p.run, "^$"), "(")
		for name := range strings.SplitSeq(strings.TrimSuffix(list, ")"), "|") {
			if group {
				name = prefix + name
			} else {
				name = prefix
			}
			if !names[name] {
				t.Errorf("%s: there is no %s in %s", p.text, name, p.pkg)
			}
		}
	}
}

func TestTally(t *testing.T) {
	f := func(lines string, trials, failed, skipped int) {
		t.Helper()
		var got tally
		got.read(strings.NewReader(lines))
		if got.trials != trials || got.failed != failed || got.skipped != skipped {
			t.Errorf("%d trials, %d failed, %d skipped; want %d, %d, %d", got.trials, got.failed, got.skipped, trials, failed, skipped)
		}
	}
	f(`{"Action":"run","Test":"TestA"}
{"Action":"attr","Test":"TestA","Key":"trials","Value":"10000"}
{"Action":"pass","Test":"TestA"}`, 10000, 0, 0)
	f(`{"Action":"run","Test":"TestA"}
{"Action":"run","Test":"TestA/x"}
{"Action":"run","Test":"TestA/y"}
{"Action":"fail","Test":"TestA/y"}
{"Action":"pass","Test":"TestA/x"}
{"Action":"fail","Test":"TestA"}
{"Action":"fail"}`, 2, 1, 0)
	f(`{"Action":"run","Test":"TestA"}
{"Action":"attr","Test":"TestA","Key":"trials","Value":"7"}
{"Action":"run","Test":"TestA/x"}
{"Action":"run","Test":"TestB"}
{"Action":"run","Test":"TestC"}
{"Action":"run","Test":"TestC/x"}
{"Action":"run","Test":"TestC/y"}
{"Action":"skip","Test":"TestC/y"}`, 9, 0, 1)
	f(`{"Action":"run","Test":"TestA"}
{"Action":"skip","Test":"TestA"}`, 0, 0, 1)
}
