package tail

import (
	"fmt"
	"os"
	"testing"
)

// While files change their names a listing may lack one, and then knows that
// it may.
func TestListingDuringRenames(t *testing.T) {
	dir := t.TempDir()
	const files = 30
	name := func(n int) string { return fmt.Sprintf("%s/app.log.%d", dir, n) }
	for n := range files {
		if err := os.WriteFile(name(n), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			for n := files; n > 0; n-- {
				select {
				case <-stop:
					return
				default:
				}
				if err := os.Rename(name(n-1), name(n)); err != nil {
					t.Error(err)
					return
				}
			}
			if err := os.Rename(name(files), name(0)); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	torn := 0
	for range 500 {
		l := (&run{t: &Tail{stat: statx}, lists: map[string]*listing{}}).list(dir)
		if l.torn["app.log"] {
			torn++
		} else if len(l.byID) != files {
			t.Errorf("a listing that was not disturbed has %d of %d files", len(l.byID), files)
		}
	}
	close(stop)
	<-stopped
	if torn == 0 {
		t.Error("no listing was disturbed")
	}
	if l := (&run{t: &Tail{stat: statx}, lists: map[string]*listing{}}).list(dir); l.torn["app.log"] || len(l.byID) != files || len(l.byStem["app.log"]) != files {
		t.Errorf("in quiet: torn %v, %d and %d files of %d", l.torn, len(l.byID), len(l.byStem["app.log"]), files)
	}
}
