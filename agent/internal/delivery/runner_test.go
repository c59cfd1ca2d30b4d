package delivery

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/wal"
)

func TestDelivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start()
		b.log.put(nil, events(0, 10, "anomaly")...)
		synctest.Wait()
		if n := len(b.fake.requests()); n != 0 {
			t.Errorf("%d requests before the linger", n)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := b.fake.requests(); len(got) != 1 || got[0] != 10 {
			t.Errorf("requests = %v, want one of 10", got)
		}
		b.counts(wal.Counts{Sent: 10})
		b.end()
	})
}

func TestSortsEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg.Filter = Filter{EventTypes: []string{"alert"}, MinSeverity: agent.High}
		b.cfg.MaxAge = agent.Duration(time.Hour)
		alert := func(n int, sev agent.Severity, age time.Duration) agent.Event {
			e := event(n, "alert")
			e.Severity, e.Received = sev, time.Now().Add(-age).UnixNano()
			return e
		}
		b.log.put(nil, events(0, 5, "telemetry")...)
		b.log.put(nil, alert(5, agent.Low, 0), alert(6, agent.High, 0), alert(7, agent.Critical, 2*time.Hour), event(8, "anomaly"))
		b.log.put([]string{"other"}, alert(9, agent.High, 0))
		b.log.put([]string{"siem", "other"}, alert(10, agent.High, 0))
		b.log.lose(3)
		b.start()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		b.counts(wal.Counts{Sent: 2, Filtered: 7, Expired: 4, Foreign: 1})
		if b.fake.got(6) != 1 || b.fake.got(10) != 1 {
			t.Errorf("taken = %v", b.fake.taken)
		}
		b.end()
	})
}
