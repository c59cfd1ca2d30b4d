package wal

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// turns counts how often each loop of the log has come round, whatever it did
// in its turn.
type turns struct{ committer, syncer, keeper atomic.Uint64 }

// Alive returns nil once every loop of the log has come round, which does not
// take long, also of a log that is full, or cannot be written and tries
// again. A loop that hangs, on a lock or in a call that does not return, is
// named by the error when ctx ends. A log that is closing counts as alive.
func (l *Log) Alive(ctx context.Context) error {
	loops := []struct {
		name  string
		turns *atomic.Uint64
		wake  chan struct{}
		ended chan struct{}
	}{
		{"committer", &l.turns.committer, l.wakeCommitter, l.ended},
		{"syncer", &l.turns.syncer, l.wakeSyncer, l.synced},
		{"keeper", &l.turns.keeper, l.wakeKeeper, l.keeperEnded},
	}
	var before [3]uint64
	for i := range loops {
		before[i] = loops[i].turns.Load()
		wake(loops[i].wake)
	}
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for i := range loops {
		for loops[i].turns.Load() == before[i] {
			select {
			case <-look.C:
			case <-loops[i].ended:
				return nil
			case <-ctx.Done():
				return fmt.Errorf("the %s of the log does not come round: %w", loops[i].name, ctx.Err())
			}
		}
	}
	return nil
}
