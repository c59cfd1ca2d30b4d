package tail

import (
	"context"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
)

// slowSink takes everything, and stores it when it is told to.
type slowSink struct {
	agent.Sink
	taken, store chan struct{}
}

func (s *slowSink) Submit(context.Context, agent.Batch) (agent.Ticket, error) {
	close(s.taken)
	return s, nil
}

func (s *slowSink) Wait(ctx context.Context) (agent.Receipt, error) {
	select {
	case <-s.store:
		return agent.Receipt{Accepted: 1}, nil
	case <-ctx.Done():
		return agent.Receipt{}, ctx.Err()
	}
}

// A stop waits for what the log has taken, so that a successor finds its mark.
func TestStopWaitsForWhatTheLogHasTaken(t *testing.T) {
	s := &slowSink{taken: make(chan struct{}), store: make(chan struct{})}
	ctx, stop := context.WithCancel(t.Context())
	var h handover
	h.start(ctx, s)
	h.jobs <- &job{}
	<-s.taken
	stop()
	select {
	case j := <-h.acks:
		t.Errorf("it was given up: %v", j.err)
	case <-time.After(50 * time.Millisecond):
		close(s.store)
		if j := <-h.acks; j.err != nil || j.receipt.Accepted != 1 {
			t.Errorf("%+v, %v", j.receipt, j.err)
		}
	}
	h.close()
}
