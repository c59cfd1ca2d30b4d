package tail

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestStill: what was read counts only if its beginning stands after the read.
func TestStill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	old := strings.Repeat("a line of the old text\n", 100)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil { // truncates in place
			t.Fatal(err)
		}
	}
	write(old)
	fd, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer fd.Close()
	f := &file{fd: fd}
	for _, off := range []int64{0, 23, 2000} {
		block := make([]byte, len(old))
		n, _ := f.readAt(block, off)
		check := func(what string, want bool) {
			t.Helper()
			if got := f.still(block[:n], off); got != want {
				t.Errorf("%s, at %d: %v", what, off, got)
			}
		}
		check("as it was", true)
		write(old + "more\n")
		check("grown", true)
		write("")
		check("truncated", false)
		write(strings.Repeat("a line of another text\n", 200))
		check("truncated and grown past the place", false)
		write(old)
	}
	if !f.still(nil, 0) {
		t.Error("nothing read is nothing changed")
	}
}
