package wal

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
)

func alive(l *Log, within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return l.Alive(ctx)
}

// Waiting is no lack of progress: for events, for room, for a disk that works again.
func TestAliveWhileItWaits(t *testing.T) {
	t.Parallel()
	broken := func(op, path string) error {
		if op == "write" || op == "openlog" {
			return agent.ErrFull
		}
		return nil
	}
	var failing atomic.Bool
	for name, o := range map[string]Options{
		"idle":   {},
		"rarely": {Sync: "interval", SyncInterval: time.Hour},
		"full":   {disk: &disk{space: func() (int64, int64, error) { return 0, 1 << 40, nil }}},
		"broken": {disk: &disk{fault: func(op, path string) error {
			if failing.Load() {
				return broken(op, path)
			}
			return nil
		}}},
	} {
		o.Dir = fastDir(t)
		l := open(t, o)
		if name == "broken" {
			failing.Store(true)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		c := l.NewChunk()
		c.Add(event(1))
		cm, err := l.Append(ctx, c)
		if err == nil {
			_, _, err = cm.Wait(ctxOf(t))
		}
		cancel()
		if stored := name == "idle" || name == "rarely"; stored != (err == nil) {
			t.Errorf("%s: append: %v", name, err)
		}
		for range 2 {
			if err := alive(l, 20*time.Second); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		failing.Store(false)
		if err := l.Close(); err != nil && name != "broken" {
			t.Errorf("%s: %v", name, err)
		}
		if err := alive(l, 20*time.Second); err != nil {
			t.Errorf("%s, closed: %v", name, err)
		}
	}
}

// A disk that does not answer is one: the loop that waits for it is named.
func TestNotAlive(t *testing.T) {
	t.Parallel()
	for op, loop := range map[string]string{"write": "committer", "sync": "syncer", "rename": "keeper"} {
		var armed atomic.Bool
		hung, release := make(chan struct{}, 1), make(chan struct{})
		l := open(t, Options{Dir: fastDir(t), disk: &disk{fault: func(o, _ string) error {
			if o == op && armed.Load() {
				select {
				case hung <- struct{}{}:
				default:
				}
				<-release
			}
			return nil
		}}})
		armed.Store(true)
		go func() {
			c := l.NewChunk()
			c.Add(event(1))
			if cm, err := l.Append(context.Background(), c); err == nil {
				_, _, _ = cm.Wait(context.Background())
			}
		}()
		<-hung
		// Others may be slow for once, or be the first that the disk does not answer.
		var err error
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
			if err = alive(l, 300*time.Millisecond); err != nil && strings.Contains(err.Error(), loop) {
				break
			}
		}
		if err == nil || !strings.Contains(err.Error(), loop) {
			t.Errorf("%s hangs: %v, want the %s named", op, err, loop)
		}
		close(release)
		if err := alive(l, 20*time.Second); err != nil {
			t.Errorf("%s goes on: %v", op, err)
		}
	}
}
