package delivery

import (
	"sync/atomic"

	"github.com/adrian207/siemd/agent/internal/wal"
)

// For every output accepted = sent + failed + filtered + expired + pending.
// Accepted are the events that the log took since the cursor began and that
// are not for others only. The cursor counts what it has passed; behind it, up
// to an event that is held, others may be finished already, and those the
// runner counts. A crash makes them pending again. So what can go wrong is that
// the cursor passed another number of events than was counted.

// A Ledger is what became of all events of one output, at one moment.
type Ledger struct {
	Accepted    uint64
	Counts      wal.Counts // across restarts
	Pending     uint64
	Unaccounted int64 // Accepted less all the others: 0, or siemd has a bug
}

// Ledger may be asked at any time, also before and after Run.
func (r *Runner) Ledger() Ledger {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		seq, c := r.o.Cursor.Seq(), r.o.Cursor.Counts()
		// In this order: events that come between the two are pending, whomever they are for.
		foreign := r.o.Source.ForeignAhead()
		head := r.o.Source.Head()
		if r.o.Cursor.Seq() != seq {
			continue // it moved between the two
		}
		l := Ledger{Pending: head - min(head, seq+foreign)}
		l.Accepted = head - min(head, r.o.Cursor.Start()+c.Foreign+foreign)
		if seq == r.base { // else the log has moved the cursor itself, past some of these
			b := r.behind
			l.Pending -= min(l.Pending, b.Total()-b.Foreign)
			b.Foreign = 0
			addCounts(&c, b)
		}
		sent, expired := r.o.Failed.unpaid()
		gone := min(sent+expired, c.Failed)
		sent = min(sent, gone)
		c.Failed, c.Sent, c.Expired = c.Failed-gone, c.Sent+sent, c.Expired+gone-sent
		l.Counts = c
		l.Unaccounted = int64(l.Accepted - (c.Total() - c.Foreign) - l.Pending)
		return l
	}
}

// Pending is the number of events in the log that this output is not finished with.
func (r *Runner) Pending() uint64 { return r.Ledger().Pending }

// note counts events of a span that was handed over.
func (r *Runner) note(s *span, from, to uint64, res Result) {
	before := s.counts
	s.note(from, to, res)
	r.counted(lessCounts(s.counts, before))
}

// counted is told what became of events behind the cursor.
func (r *Runner) counted(c wal.Counts) {
	r.mu.Lock()
	addCounts(&r.behind, c)
	r.mu.Unlock()
	r.metrics.count(c)
	if c.Expired > 0 {
		r.countExpired()
	}
}

// countExpired brings the counter up to the ledger. Where the log has moved the
// cursor past what is on its way, that is left out: it may be sent yet.
func (r *Runner) countExpired() {
	n := r.Ledger().Counts.Expired
	if seq := r.o.Cursor.Seq(); seq > r.base {
		n -= min(n, min(seq, r.next)-r.base)
	}
	r.metrics.expired(n)
}

// advance moves the cursor.
func (r *Runner) advance(to uint64, c wal.Counts) {
	r.mu.Lock()
	r.o.Cursor.Advance(to, c)
	r.base, r.behind = to, lessCounts(r.behind, c)
	r.mu.Unlock()
}

// unaccounted is the number of events that c passed and nobody counted;
// negative if events were counted twice.
func unaccounted(c Cursor) int64 {
	for {
		seq := c.Seq()
		n := int64(seq-c.Start()) - int64(c.Counts().Total())
		if c.Seq() == seq { // else it moved between the two
			return n
		}
	}
}

// checkLedger keeps the difference, and says so when it changes.
func (r *Runner) checkLedger() {
	n := unaccounted(r.o.Cursor)
	if r.unsettled.Swap(n) == n || n == 0 {
		return
	}
	c := r.o.Cursor.Counts()
	r.o.Env.Log.Error("the ledger does not add up", "unaccounted", n,
		"passed", r.o.Cursor.Seq()-r.o.Cursor.Start(), "counted", c.Total(),
		"sent", c.Sent, "failed", c.Failed, "filtered", c.Filtered, "expired", c.Expired, "foreign", c.Foreign)
}

// Unaccounted is the ledger's difference when it was last looked at: 0, or siemd has a bug.
func (r *Runner) Unaccounted() int64 { return r.unsettled.Load() }

func addCounts(c *wal.Counts, d wal.Counts) {
	c.Sent += d.Sent
	c.Failed += d.Failed
	c.Filtered += d.Filtered
	c.Expired += d.Expired
	c.Foreign += d.Foreign
}

func lessCounts(c, d wal.Counts) wal.Counts {
	return wal.Counts{
		Sent: c.Sent - d.Sent, Failed: c.Failed - d.Failed, Filtered: c.Filtered - d.Filtered,
		Expired: c.Expired - d.Expired, Foreign: c.Foreign - d.Foreign,
	}
}

// A carry is what one runner leaves to the next about events that it was
// finished with and the cursor has not passed. The counters tell of them
// already, and those that were sent are not sent again.
type carry struct {
	counts wal.Counts
	to     uint64 // the first event that is not among them
	sent   []run  // in order
}

// pay takes from c what was counted before. Expired events are counted by the ledger.
func (k *carry) pay(c wal.Counts) wal.Counts {
	f := func(n, have *uint64) {
		d := min(*n, *have)
		*n -= d
		*have -= d
	}
	f(&c.Sent, &k.counts.Sent)
	f(&c.Failed, &k.counts.Failed)
	f(&c.Filtered, &k.counts.Filtered)
	return c
}

// debts are removals of entries that the cursor has not counted yet.
type debts struct{ sent, other atomic.Int64 }
