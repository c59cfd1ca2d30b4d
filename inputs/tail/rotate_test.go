package tail

import (
	"fmt"
	"os"
	"testing"
)

// copyTruncate rotates name to to, and begins it with text.
func (r *rig) copyTruncate(name, to, text string) {
	r.t.Helper()
	old, err := os.ReadFile(r.path(name))
	r.must(err)
	r.must(os.WriteFile(r.path(to), old, 0o644))
	r.must(os.Truncate(r.path(name), 0))
	r.write(name, text)
}

func TestCopyTruncateWhileDown(t *testing.T) {
	for _, glob := range []string{"app.log", "app.log*"} {
		for times := 1; times <= 3; times++ {
			t.Run(fmt.Sprintf("%s %d", glob, times), func(t *testing.T) {
				r := newRig(t, glob)
				text, want := numbered(0, 100)
				r.write("app.log", text)
				r.start()
				r.expect(want...)
				r.halt()
				for i := range times {
					text, lines := numbered(1000*(i+1), 1000*(i+1)+100-i)
					rest, restLines := numbered(1000*(i+1)+500, 1000*(i+1)+505)
					r.write("app.log", rest)
					r.copyTruncate("app.log", fmt.Sprintf("app.log.%d", i+1), text)
					want = append(append(want, lines...), restLines...)
				}
				r.start()
				r.expect(want...)
				r.calm()
				r.expect(want...)
			})
		}
	}
}
