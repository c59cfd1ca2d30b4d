package cli

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
)

const (
	// gcPercent is how far the heap may grow beyond what lives. It is mostly
	// large buffers without pointers: collecting those often is cheap.
	gcPercent = 50
	// memoryShare of a control group's limit is the Go runtime's; the rest is
	// for the program's own pages and the kernel's.
	memoryShare = 0.9
)

// boundMemory tells the Go runtime how much memory there is to use: what the
// control group allows. Variables that users set for the runtime win.
func boundMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if group := groupLimit("/proc/self/cgroup", "/sys/fs/cgroup"); group > 0 && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(float64(group) * memoryShare))
	}
}

// groupLimit is the lowest memory.max, or memory.high, above which the kernel
// slows the process down, of its control group (version 2) and those above it,
// in bytes; 0 if there is none.
func groupLimit(self, root string) (lowest int64) {
	b, err := os.ReadFile(self)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok {
			continue
		}
		for dir := filepath.Clean("/" + path); ; dir = filepath.Dir(dir) {
			for _, file := range []string{"memory.max", "memory.high"} {
				text, _ := os.ReadFile(filepath.Join(root, dir, file))
				if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && (lowest == 0 || n < lowest) {
					lowest = n
				}
			}
			if dir == "/" {
				break
			}
		}
	}
	return lowest
}
