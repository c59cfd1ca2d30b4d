package tail

import (
	"errors"
	"time"
)

// acked takes a job back.
func (r *run) acked(j *job) {
	r.inFlight--
	if j.file != nil {
		j.file.inflight--
	}
	if j.err != nil {
		r.settled = append(r.settled, j.settled...)
		if r.failing == nil || errors.Is(r.failing, errDropped) {
			r.failing = j.err
		}
		return
	}
	if r.failures > 0 && r.failing == nil && time.Since(r.resumeAt) >= r.pause {
		r.log.Info("the log takes lines again")
		r.failures = 0
	}
	if r.failing == nil {
		r.follow(j.settled)
	}
	f := j.file
	if f == nil {
		return
	}
	r.meters.stale = true
	f.acked = j.offset
	if j.receipt.Last > 0 {
		f.ackedSeq, f.doubt = max(f.ackedSeq, j.receipt.Last), false
		if r.firstSeq == 0 {
			r.firstSeq = j.receipt.First
		}
	}
	if j.sure {
		f.markedSeq = j.seq
	}
	if f.finished && f.inflight == 0 {
		r.settleFinished(f)
	}
}

// rewind goes back to what is on disk, after the log refused a batch.
func (r *run) rewind(now time.Time) {
	r.pause = min(r.t.timing.retry<<min(r.failures, 5), 30*r.t.timing.retry)
	if r.failures == 0 {
		r.log.Warn("the log did not take lines, reading them again later", "err", r.failing)
	}
	r.failures++
	r.failing = nil
	r.resumeAt = now.Add(r.pause)
	for _, j := range r.outbox {
		if j.file != nil {
			j.file.inflight--
		}
		r.hand.release(j.buffer)
		r.settled = append(r.settled, j.settled...)
	}
	r.outbox = nil
	r.hand.failed.Store(false)
	clear(r.strangers) // what they say may have gone into batches that were not stored
	for _, f := range r.files {
		r.restore(f)
		r.dirty[f.id.shard()] = true
		if f.gone == 0 {
			r.enqueue(f)
		}
		if f.begin != nil {
			r.saveState(f)
		}
	}
	if r.started {
		r.flushCatalog()
		r.submitMark(nil, startedKey, []byte{1})
	}
}
