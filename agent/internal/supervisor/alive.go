package supervisor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/adrian207/siemd/agent/internal/delivery"
)

// changeLimit is how long a change of the config may go on. Connections that
// do not let go cost some seconds each.
const changeLimit = 5 * time.Minute

// Alive returns nil once every loop that events depend on has come round: those
// of the log and of each connection. That a SIEM is away or the disk is full
// does not keep them from it. A loop that hangs is named by the error when ctx
// ends. It is for one caller, again and again.
func (a *Agent) Alive(ctx context.Context) error {
	if err := a.wal.Alive(ctx); err != nil {
		return err
	}
	if a.changing.TryLock() {
		a.changing.Unlock()
		a.changingSince = time.Time{}
	} else if a.changingSince.IsZero() {
		a.changingSince = time.Now()
	} else if d := time.Since(a.changingSince); d > changeLimit {
		return fmt.Errorf("a change of the config has not ended for %s", d.Round(time.Second))
	}
	a.mu.Lock()
	outs := values(a.outputs)
	a.mu.Unlock()
	for _, o := range outs {
		// One that has ended is started again, or taken out.
		if err := o.runner.Load().Alive(ctx); err != nil && !errors.Is(err, delivery.ErrStopped) {
			return fmt.Errorf("output %s does not come round: %w", o.cfg.Name, err)
		}
	}
	return nil
}
