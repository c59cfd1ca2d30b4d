package packaging_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// wantPackages skips a test that takes its time, unless it is asked for:
// SIEMD_PACKAGE_TEST=1, or =all for the other architecture as well.
func wantPackages(t *testing.T) (arches string) {
	t.Helper()
	switch os.Getenv("SIEMD_PACKAGE_TEST") {
	case "":
		t.Skip("*** SKIPPED: set SIEMD_PACKAGE_TEST=1 to build, install, upgrade and remove packages ***")
	case "all":
		return "amd64 arm64"
	}
	return runtime.GOARCH
}

// copyTree copies the files of the repository that are not ignored, and nothing of git.
func copyTree(t *testing.T, to string) {
	t.Helper()
	list := finish(t, exec.Command("git", "-C", "..", "ls-files", "-z", "-co", "--exclude-standard"))
	if list.code != 0 {
		t.Fatal(list.err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(list.out, "\x00"), "\x00") {
		from := filepath.Join("..", name)
		info, err := os.Stat(from)
		if err != nil || info.IsDir() {
			continue // removed, and not yet committed
		}
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(to, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, name), data, info.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
}

// build makes the packages of a version from a copy of the sources in a folder of its own.
func build(t *testing.T, source, version, arches, out string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(source, "packaging/build"), out)
	cmd.Env = append(os.Environ(), "VERSION="+version, "SOURCE_DATE_EPOCH=1790000000", "ARCHES="+arches, "GOCOVERDIR=")
	if r := finish(t, cmd); r.code != 0 {
		t.Fatalf("build: exit code %d\n%s%s", r.code, r.out, r.err)
	}
}

// packages are built once: two versions, and the first one twice, in another folder.
var packages struct {
	once              sync.Once
	first, again, new string
}

func builtPackages(t *testing.T) (first, again, newer string) {
	t.Helper()
	arches := wantPackages(t)
	packages.once.Do(func() {
		dir, err := os.MkdirTemp("", "siemd-packages")
		if err != nil {
			t.Fatal(err)
		}
		afterAll = append(afterAll, dir)
		one, two := filepath.Join(dir, "one"), filepath.Join(dir, "another/place")
		copyTree(t, one)
		copyTree(t, two)
		for i, b := range []struct {
			source, version string
			to              *string
		}{{one, "v1.0.0", &packages.first}, {two, "v1.0.0", &packages.again}, {one, "v1.1.0", &packages.new}} {
			out := filepath.Join(dir, fmt.Sprint("out", i))
			build(t, b.source, b.version, arches, out)
			*b.to = out
		}
	})
	if packages.new == "" {
		t.Fatal("the packages could not be built")
	}
	return packages.first, packages.again, packages.new
}

// one is the only file of a folder that matches.
func one(t *testing.T, dir, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %v, %v", pattern, found, err)
	}
	return found[0]
}

func sums(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(data)
		all[e.Name()] = hex.EncodeToString(sum[:])
	}
	return all
}

// The same sources give the same bytes, whatever folder they are in.
func TestPackagesAreReproducible(t *testing.T) {
	first, again, _ := builtPackages(t)
	a, b := sums(t, first), sums(t, again)
	if want := 1 + 4*len(strings.Fields(wantPackages(t))); len(a) != want {
		t.Errorf("%d files, want %d: %v", len(a), want, a)
	}
	for name, sum := range a {
		if b[name] != sum {
			t.Errorf("%s is %s and %s", name, sum, b[name])
		}
	}
	for line := range strings.Lines(string(must(os.ReadFile(filepath.Join(first, "SHA256SUMS"))))) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		if a[name] != sum || sum == "" {
			t.Errorf("SHA256SUMS has %s for %s", sum, name)
		}
	}
}

func must(data []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return data
}

// The SBOM names what is in the binary: each module with its version.
func TestPackageBillOfMaterials(t *testing.T) {
	first, _, _ := builtPackages(t)
	var bom struct {
		BomFormat string
		Metadata  struct {
			Component struct{ Name, Version string }
		}
		Components []struct {
			Name, Version, Purl string
		}
	}
	if err := json.Unmarshal(must(os.ReadFile(one(t, first, "*-"+runtime.GOARCH+".cdx.json"))), &bom); err != nil {
		t.Fatal(err)
	}
	if bom.BomFormat != "CycloneDX" || bom.Metadata.Component.Version != "1.0.0" {
		t.Errorf("%s of version %q", bom.BomFormat, bom.Metadata.Component.Version)
	}
	named := map[string]bool{}
	for _, c := range bom.Components {
		named[c.Name] = true
		if c.Version == "" || !strings.HasPrefix(c.Purl, "pkg:golang/") {
			t.Errorf("%s: version %q, purl %q", c.Name, c.Version, c.Purl)
		}
	}
	for _, name := range []string{"github.com/tidwall/wal", "github.com/spf13/cobra", "filippo.io/age"} {
		if !named[name] {
			t.Errorf("%s is not in the SBOM", name)
		}
	}
}

// lintian finds no errors.
func TestPackageLintian(t *testing.T) {
	t.Parallel()
	lintian := tool(t, "lintian")
	first, _, _ := builtPackages(t)
	r := finish(t, exec.Command(lintian, "--allow-root", "--fail-on", "error", one(t, first, "*_"+runtime.GOARCH+".deb")))
	if r.code != 0 {
		t.Errorf("exit code %d", r.code)
	}
	t.Logf("lintian says:\n%s%s", r.out, r.err)
}

// make install lays siemd out below another root and prefix, and keeps a config that is there.
func TestPackageMakeInstall(t *testing.T) {
	wantPackages(t)
	source, dest := t.TempDir(), t.TempDir()
	copyTree(t, source)
	install := func() {
		t.Helper()
		cmd := exec.Command("make", "-C", source, "install", "DESTDIR="+dest, "PREFIX=/opt/siemd", "VERSION=v1.0.0")
		cmd.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false", "GOCOVERDIR=")
		if r := finish(t, cmd); r.code != 0 {
			t.Fatalf("exit code %d\n%s%s", r.code, r.out, r.err)
		}
	}
	install()
	for path, mode := range map[string]os.FileMode{
		"opt/siemd/bin/siemd": 0o755, "opt/siemd/lib/systemd/system/siemd.service": 0o644, "opt/siemd/lib/sysusers.d/siemd.conf": 0o644,
		"opt/siemd/lib/tmpfiles.d/siemd.conf": 0o644, "opt/siemd/share/man/man8/siemd.8.gz": 0o644, "opt/siemd/share/man/man5/siemd.yaml.5.gz": 0o644,
		"opt/siemd/share/bash-completion/completions/siemd": 0o644, "opt/siemd/share/siemd/siemd.schema.json": 0o644,
		"opt/siemd/share/siemd/openapi.json": 0o644, "opt/siemd/share/siemd/siemd-alerts.yaml": 0o644, "etc/siemd/siemd.yaml": 0o640,
	} {
		if info, err := os.Stat(filepath.Join(dest, path)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, want %v", path, err, mode)
		}
	}
	unit := must(os.ReadFile(filepath.Join(dest, "opt/siemd/lib/systemd/system/siemd.service")))
	if bytes.Contains(unit, []byte("/usr/bin/siemd")) || !bytes.Contains(unit, []byte("ExecStart=/opt/siemd/bin/siemd run")) {
		t.Error("the unit does not name the place that it is installed to")
	}
	config := filepath.Join(dest, "etc/siemd/siemd.yaml")
	if r := finish(t, exec.Command(filepath.Join(dest, "opt/siemd/bin/siemd"), "check", "-c", config)); r.code != 0 {
		t.Errorf("the config as installed: exit code %d\n%s", r.code, r.err)
	}
	write(t, config, "# mine\n")
	install()
	if got := string(must(os.ReadFile(config))); got != "# mine\n" {
		t.Errorf("the config was replaced: %s", got)
	}
}
