package delivery

import "time"

// relogAfter is how long the same kind of trouble is not logged again.
const relogAfter = 10 * time.Second

// A logbook remembers what was said, so that a failure is logged when it
// begins, when it changes and when it ends.
type logbook struct {
	failing  bool
	status   Status
	err      string
	at       time.Time
	refused  time.Time // when a refusal was logged
	withheld int       // refusals not logged since
}

// observe tells health, and the log what is new.
func (r *Runner) observe(o observation, now time.Time) {
	r.mu.Lock()
	before := r.health
	r.health = before.next(o, now)
	after := r.health
	r.mu.Unlock()
	log, book := r.o.Env.Log, &r.book
	if book.failing && (o.kind == seenTaken || o.kind == seenPartly) {
		book.failing = false
		log.Info("output takes events again", "failures", before.Failures, "failed_for", now.Sub(before.Failing).Round(time.Millisecond).String())
	}
	switch o.kind {
	case seenRefused, seenPartly:
		if now.Sub(book.refused) < relogAfter {
			book.withheld++
			return
		}
		log.Warn("events were refused or held back", "not_logged", book.withheld, "err", o.err())
		book.refused, book.withheld = now, 0
	case seenFailure, seenBlocked:
		news := after.Status != book.status || o.err() != book.err && now.Sub(book.at) >= relogAfter
		if book.failing && !news {
			return
		}
		log.Warn("output fails, its events are kept", "status", string(after.Status), "next_try", o.nextTry, "err", o.err())
		book.failing, book.status, book.err, book.at = true, after.Status, o.err(), now
	}
}
