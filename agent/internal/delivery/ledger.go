package delivery

// For every output accepted = sent + failed + filtered + expired + pending.
// Accepted are the events that the log took since the cursor began and that
// are not for others only; pending are those from the cursor on. So what can
// go wrong is that the cursor passed another number of events than was counted.

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

// Unaccounted is the ledger's difference: 0, or siemd has a bug.
func (r *Runner) Unaccounted() int64 { return r.unsettled.Load() }

// Pending is the number of events in the log that this output is not finished with.
func (r *Runner) Pending() uint64 {
	ahead := r.o.Source.ForeignAhead()
	head, seq := r.o.Source.Head(), r.o.Cursor.Seq()
	if head < seq+ahead {
		return 0
	}
	return head - seq - ahead
}
