package supervisor

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every metric that the code has is described, and nothing else is.
func TestMetricsAreDescribed(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	used := map[string]bool{}
	call := regexp.MustCompile(`(?:\.Counter|\.Histogram|\.Gauge|\.gauge)\("([a-z_]+)"`)
	whole := regexp.MustCompile("[\"`](siemd_[a-z_]+)[{\"]")
	for dir, side := range map[string]string{"inputs": "input", "agent/internal/intake": "input", "outputs": "output", "agent/internal/delivery": "output", "agent": "", "codecs": ""} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "metriclist.go") {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, m := range whole.FindAllStringSubmatch(string(text), -1) {
				used[m[1]] = true
			}
			for _, m := range call.FindAllStringSubmatch(string(text), -1) {
				if side != "" {
					used["siemd_"+side+"_"+m[1]] = true
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	delete(used, "siemd_route") // a stand-in of templates
	delete(used, "siemd_test")  // the mark of a test's event
	described := map[string]bool{}
	for _, m := range metricList {
		if described[m.name] || m.help == "" || strings.ContainsAny(m.help, "\n\\") {
			t.Errorf("%s: %q", m.name, m.help)
		}
		described[m.name] = true
		if !used[m.name] {
			t.Errorf("%s is described, but there is none", m.name)
		}
	}
	for name := range used {
		if !described[name] {
			t.Errorf("%s is not described in metriclist.go", name)
		}
	}
}
