package delivery

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/adrian207/siemd/agent"
)

// inBubble runs f with a bench in a bubble of fake time, and adds up in the end.
func inBubble(t *testing.T, name string, f func(t *testing.T, b *bench)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			defer b.end()
			f(t, b)
		})
	})
}

// within lets d pass.
func within(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// outage answers with err until d has passed.
func outage(d time.Duration, err error) func([]agent.Event) error {
	end := time.Now().Add(d)
	return func([]agent.Event) error {
		if time.Now().Before(end) {
			return err
		}
		return nil
	}
}
