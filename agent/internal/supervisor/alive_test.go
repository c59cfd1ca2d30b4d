package supervisor

import (
	"context"
	"testing"
	"time"
)

func (r *rig) alive(within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return r.Alive(ctx)
}

// A SIEM that is away, or does not answer, is no lack of progress; a loop that does not come round is one.
func TestAlive(t *testing.T) {
	t.Parallel()
	r := newRig(t, "outputs:\n  away: {type: elastic, endpoint: 'http://127.0.0.1:1'}\n")
	r.export("1", 50*time.Millisecond)
	for range 2 {
		if err := r.alive(20 * time.Second); err != nil {
			t.Error(err)
		}
	}
	r.changing.Lock()
	if err := r.alive(20 * time.Second); err != nil {
		t.Errorf("a change that has just begun: %v", err)
	}
	r.changingSince = r.changingSince.Add(-changeLimit)
	if err := r.alive(20 * time.Second); err == nil {
		t.Error("a change that does not end was not noticed")
	}
	r.changing.Unlock()
	if err := r.alive(20 * time.Second); err != nil || !r.changingSince.IsZero() {
		t.Errorf("after the change: %v", err)
	}
	r.stop()
	if err := r.alive(20 * time.Second); err != nil {
		t.Errorf("stopped: %v", err)
	}
}
