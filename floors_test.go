package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/adrian207/siemd"

// floors says which packages of this module each package may import: the
// longest prefix that matches counts. ARCHITECTURE.md has the same table in words.
var floors = map[string][]string{
	"":                          {"agent/cli", "inputs/", "outputs/"},
	"agent":                     {},
	"agent/httpx":               {"agent"},
	"agent/plugintest":          {"agent", "agent/httpx"},
	"codecs/json":               {},
	"codecs/fields":             {"agent", "codecs/json"},
	"codecs/route":              {"agent", "codecs/json", "codecs/fields"},
	"codecs/":                   {"agent", "codecs/json", "codecs/fields", "codecs/route", "codecs/rfc5424"},
	"agent/idempotency":         {"agent"},
	"inputs/":                   {"agent", "agent/httpx", "agent/idempotency", "codecs/"},
	"outputs/":                  {"agent", "agent/httpx", "codecs/"},
	"agent/internal/wal":        {"agent"},
	"agent/internal/intake":     {"agent", "agent/internal/wal", "codecs/json", "codecs/format"},
	"agent/internal/delivery":   {"agent", "agent/internal/wal", "codecs/json"},
	"agent/internal/config":     {"agent", "agent/internal/intake", "agent/internal/delivery"},
	"agent/internal/supervisor": {"agent", "agent/internal/wal", "agent/internal/intake", "agent/internal/delivery", "agent/internal/config", "codecs/json"},
	"agent/internal/api":        {"agent", "agent/internal/config", "agent/internal/supervisor", "agent/internal/delivery", "agent/internal/intake", "agent/internal/wal", "agent/idempotency", "agent/internal/history", "agent/internal/statuspage"},
	"agent/internal/history":    {},
	"agent/internal/statuspage": {},
	"agent/cli":                 {"agent"},
	"bench/":                    {"agent/plugintest"}, // and nothing of the agent itself
}

func TestFloors(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		pkg := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), ".")
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, imp := range f.Imports {
			to, ok := strings.CutPrefix(strings.Trim(imp.Path.Value, `"`), module+"/")
			if ok && to != pkg && !mayImport(pkg, to) {
				t.Errorf("%s imports %s, which is not on a floor below it", path, to)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func mayImport(pkg, to string) bool {
	best, found := "", false
	for prefix := range floors {
		fits := prefix == pkg || (strings.HasSuffix(prefix, "/") && strings.HasPrefix(pkg+"/", prefix))
		if fits && (!found || len(prefix) > len(best)) {
			best, found = prefix, true
		}
	}
	for _, allowed := range floors[best] {
		switch {
		case allowed == to:
			return true
		case strings.HasSuffix(allowed, "/") && strings.HasPrefix(to, allowed):
			return true
		case pkg == "agent/cli" && strings.HasPrefix(to, "agent/"):
			return true
		}
	}
	return false
}
