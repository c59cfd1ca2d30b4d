package tail

import (
	"syscall"
	"testing"
)

// TestFewDescriptors: where the process may have few of them, most are left to the others.
func TestFewDescriptors(t *testing.T) {
	r := newRig(t, "*.log")
	f := func(limit uint64, want int) {
		t.Helper()
		var old syscall.Rlimit
		r.must(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old))
		low := old
		low.Cur = limit
		r.must(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low))
		in, err := New(r.conf, r.env())
		r.must(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old))
		r.must(err)
		if in.timing.open != want {
			t.Errorf("of %d descriptors it keeps %d, want %d", limit, in.timing.open, want)
		}
	}
	f(128, 16)
	f(40, 5)
	f(4096, 256)
}
