package supervisor

import "strings"

// tapPrefix begins the names of cursors that taps make for a moment. No
// component's name begins like that.
const tapPrefix = ".tap-"

func isTap(name string) bool { return strings.HasPrefix(name, tapPrefix) }

// sweepTaps forgets cursors of taps that a crash has left.
func (a *Agent) sweepTaps() {
	for _, c := range a.wal.Cursors() {
		if isTap(c.Name) {
			if err := a.wal.Purge(c.Name); err != nil {
				a.log.Warn("a tap's cursor stays", "cursor", c.Name, "err", err)
			}
		}
	}
}
