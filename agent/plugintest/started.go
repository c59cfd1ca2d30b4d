package plugintest

import (
	"context"
	"time"
)

// TB is the part of testing.TB that Started uses, for the same reason as T.
type TB interface {
	Helper()
	Fatal(args ...any)
	Cleanup(f func())
}

// Started is a mock that listens on loopback until the test ends; what is still open then is cut.
func Started(t TB, kind string, o Options) *Receiver {
	t.Helper()
	r, err := New(kind, o)
	if err == nil {
		// A port of its own, of which it can be sure when it is stopped and started
		// again. It is not tried out before: a child that is just being made would hold it.
		for range tries {
			if err = r.Start(addressOf(nextPort())); err == nil {
				break
			}
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = r.Close(ctx)
	})
	return r
}
