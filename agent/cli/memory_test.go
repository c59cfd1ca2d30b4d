package cli

import (
	"os"
	"path/filepath"
	"testing"
)

// TestGroupLimit: the lowest limit on the way up counts.
func TestGroupLimit(t *testing.T) {
	root := t.TempDir()
	write := func(path, text string) {
		t.Helper()
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("sys/system.slice/siemd.service/memory.max", "max\n")
	write("sys/system.slice/memory.max", "268435456\n")
	write("sys/user.slice/memory.max", "1\n")
	write("sys/slow.slice/memory.high", "100\n") // the kernel slows down what is above it
	write("sys/slow.slice/memory.max", "200\n")
	for group, want := range map[string]int64{
		"0::/system.slice/siemd.service\n":                  268435456,
		"4:memory:/other\n0::/system.slice\n":               268435456,
		"0::/\n":                                            0,
		"0::/slow.slice\n":                                  100,
		"0::/../../user.slice\n":                            1, // seen from a namespace below; stays within the root
		"0::/gone/with/the/wind\n":                          0,
		"12:pids:/user.slice\n1:name=systemd:/user.slice\n": 0,
		"": 0,
	} {
		write("cgroup", group)
		if got := groupLimit(filepath.Join(root, "cgroup"), filepath.Join(root, "sys")); got != want {
			t.Errorf("%q: %d, want %d", group, got, want)
		}
	}
	if got := groupLimit(filepath.Join(root, "none"), root); got != 0 {
		t.Errorf("without a group: %d", got)
	}
}
