package delivery

import (
	"errors"
	"os"
	"slices"
	"time"

	"github.com/adrian207/siemd/agent/internal/wal"
)

// Entries and counts are kept in two places, the store's files and the log's
// state file, and each is saved on its own. This file is what keeps them equal.

// reconcile is called when a runner begins. After a crash there may be entries
// whose events the cursor has not passed: they will be delivered again, and
// must not be here twice. And there may be fewer entries than the cursor
// counts, if a removal was durable before the count.
func (s *FailedStore) reconcile() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.payLocked()
	next := s.o.Cursor.Seq()
	clear(s.ahead)
	clear(s.owed) // those events will be delivered again
	s.sumDebtsLocked()
	for _, seg := range s.segs {
		if seg.maxSeq < next {
			continue
		}
		_, err := eachLine(seg.path, func(line []byte) error {
			if id, seq, ok := lineKey(line); ok && seq >= next {
				s.ahead[seq] = id
			}
			return nil
		})
		if err != nil {
			s.o.Log.Error("failed store cannot be read", "file", seg.path, "err", err)
		}
	}
	s.surplus.Store(int64(len(s.ahead)))
	counted, here := s.o.Cursor.Counts().Failed, uint64(s.Len()-len(s.ahead))
	if counted > here {
		n := int64(counted - here)
		change := wal.Change{Failed: -n, Expired: n}
		if s.removal == removedSent {
			change = wal.Change{Failed: -n, Sent: n}
		}
		s.o.Log.Warn("failed store holds fewer events than were counted", "missing", n, "counted_as", s.removal)
		s.o.Cursor.Adjust(change)
	}
}

// settled is how many entries are of events that are not pending: after a crash
// there may be others, until their events are delivered or refused once more.
func (s *FailedStore) settled() int { return s.Len() - int(s.surplus.Load()) }

// expire drops what is too old.
func (s *FailedStore) expire(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.capLocked(now)
}

// capLocked drops the oldest files while the store is too large or they are too old.
func (s *FailedStore) capLocked(now time.Time) {
	var size int64
	for _, seg := range s.segs {
		size += seg.size
	}
	oldest := uint64(max(now.Add(-s.o.MaxAge).UnixNano(), 0))
	for len(s.segs) > 0 {
		seg := s.segs[0]
		if seg.last >= oldest && (size <= s.o.MaxSize || len(s.segs) == 1) {
			break
		}
		if len(s.segs) == 1 {
			s.sealLocked()
		}
		seqs, err := seg.seqs()
		if err == nil {
			err = s.noteRemovalLocked(removedOther)
		}
		if err != nil {
			s.o.Log.Error("failed store cannot drop a file", "file", seg.path, "err", err)
			return
		}
		if err := os.Remove(seg.path); err != nil && !errors.Is(err, os.ErrNotExist) {
			s.o.Log.Error("failed store cannot drop a file", "file", seg.path, "err", err)
			return
		}
		size -= seg.size
		s.segs = slices.Delete(s.segs, 0, 1)
		s.count.Add(-int64(seg.count))
		s.removedLocked(seqs, removedOther)
		s.o.Log.Warn("failed events expired in the failed store", "events", seg.count)
	}
	s.payLocked()
}

// removedLocked sees to it that removed entries are counted as what they
// became. An entry may be removed before the cursor passes its event: then it
// is counted when that happens. And one that is left from before a crash is
// not counted at all, because its event is delivered once more.
func (s *FailedStore) removedLocked(seqs []uint64, why string) {
	for _, seq := range seqs {
		if _, ok := s.ahead[seq]; ok {
			delete(s.ahead, seq)
		} else {
			s.owed[seq] = why
		}
	}
	s.surplus.Store(int64(len(s.ahead)))
	s.sumDebtsLocked()
	s.payLocked()
}

// sumDebtsLocked publishes what is owed.
func (s *FailedStore) sumDebtsLocked() {
	var sent, other int64
	for _, why := range s.owed {
		if why == removedSent {
			sent++
		} else {
			other++
		}
	}
	s.debts.sent.Store(sent)
	s.debts.other.Store(other)
}

// unpaid is what entries became that were removed before the cursor counted them.
func (s *FailedStore) unpaid() (sent, expired uint64) {
	return uint64(s.debts.sent.Load()), uint64(s.debts.other.Load())
}

// payLocked moves counts for what was removed and the cursor has passed.
func (s *FailedStore) payLocked() {
	if len(s.owed) == 0 {
		return
	}
	next := s.o.Cursor.Seq()
	var sent, expired int64
	for seq, why := range s.owed {
		switch {
		case seq >= next:
			continue
		case why == removedSent:
			sent++
		default:
			expired++
		}
		delete(s.owed, seq)
	}
	if sent+expired == 0 {
		return
	}
	defer s.sumDebtsLocked()
	if failed := int64(s.o.Cursor.Counts().Failed); sent+expired > failed {
		// Entries that nobody counted, of another log for instance.
		sent = min(sent, failed)
		expired = failed - sent
	}
	s.o.Cursor.Adjust(wal.Change{Failed: -sent - expired, Sent: sent, Expired: expired})
}

// passed is told that the cursor has moved.
func (s *FailedStore) passed() {
	if sent, expired := s.unpaid(); sent+expired == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.payLocked()
}
