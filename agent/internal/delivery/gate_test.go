package delivery

import (
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
)

// TestBackoffDoesNotOverflow: long waits doubled many times stay within max.
func TestBackoffDoesNotOverflow(t *testing.T) {
	for _, initial := range []time.Duration{0, time.Second, 17 * time.Second, 30 * time.Second, time.Hour} {
		g := newGate(Retry{Initial: agent.Duration(initial), Max: agent.Duration(time.Hour)})
		for tries := range 100 {
			if d := g.backoff(tries); d <= 0 || d > time.Hour {
				t.Fatalf("initial %v, try %d: %v", initial, tries, d)
			}
		}
	}
}
