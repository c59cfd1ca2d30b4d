package wal

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"
)

const stateVersion = 1

// state is what is in state.json, besides its checksum.
type state struct {
	Version    int                    `json:"version"`
	Generation uint64                 `json:"generation"`
	Time       time.Time              `json:"time"`
	NextSeq    uint64                 `json:"next_seq"`
	Block      uint64                 `json:"block"` // marks and counts below include all blocks to this one
	Cursors    map[string]cursorState `json:"cursors"`
	Marks      map[string][]byte      `json:"marks,omitempty"`
	Lost       []Span                 `json:"lost,omitempty"` // written off by Repair
}

// A Span is sequence numbers, both ends included.
type Span struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
}

// knows reports whether all of first to last is in spans, which are in order.
func knows(spans []Span, first, last uint64) bool {
	for _, s := range spans {
		if s.First <= first && first <= s.Last {
			if last <= s.Last {
				return true
			}
			first = s.Last + 1
		}
	}
	return false
}

// settled is what all cursors have passed; 0 if there are none.
func (st *state) settled() uint64 {
	low := uint64(0)
	for _, c := range st.Cursors {
		if low == 0 || c.Seq < low {
			low = c.Seq
		}
	}
	return min(low, st.NextSeq)
}

type cursorState struct {
	Start  uint64 `json:"start"`
	Seq    uint64 `json:"seq"`
	Ahead  uint64 `json:"foreign_ahead,omitempty"`
	Counts Counts `json:"counts"`

	LastSent time.Time `json:"last_sent,omitzero"`
}

// saved is what truncation may rely on: it holds in both generations.
type saved struct {
	generation uint64
	cursors    map[string]uint64 // the lower of both
	block      uint64            // the lower of both
	newest     *state
	changed    bool // memory is ahead of the newest generation
	stale      bool // the older generation differs from the newest
}

func (l *Log) statePath() string { return filepath.Join(l.opts.Dir, "state.json") }

// loadState reads the newest intact generation. lost: there was a state, but
// none of its generations is intact.
func (l *Log) loadState() (st *state, lost bool, err error) {
	st, damaged, err := readState(l.opts.Dir)
	for _, path := range damaged {
		l.log.Warn("state file is damaged", "path", path)
		l.damage.states++
	}
	switch {
	case errors.Is(err, os.ErrNotExist):
		return &state{Version: stateVersion, NextSeq: 1}, false, nil
	case errors.Is(err, errBadState):
		return &state{Version: stateVersion, NextSeq: 1}, true, nil
	}
	return st, false, err
}

var errBadState = errors.New("the saved state is damaged")

// readState gives the newest intact generation and the paths of damaged ones.
// The errors are os.ErrNotExist, errBadState if there is none that is intact,
// ErrNewer and those of the disk.
func readState(dir string) (st *state, damaged []string, err error) {
	path := filepath.Join(dir, "state.json")
	for _, path := range []string{path, path + ".next", path + ".old"} {
		data, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, nil, err
		}
		s, err := decodeState(data)
		if errors.Is(err, ErrNewer) {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
		if err != nil {
			damaged = append(damaged, path)
			continue
		}
		if st == nil || s.Generation > st.Generation {
			st = s
		}
	}
	switch {
	case st != nil:
		return st, damaged, nil
	case len(damaged) > 0:
		return nil, damaged, errBadState
	}
	return nil, nil, os.ErrNotExist
}

// peekState is readState for those who only look: they get a state in any case.
func peekState(dir string) (*state, error) {
	st, _, err := readState(dir)
	if err != nil {
		return &state{}, err
	}
	return st, nil
}

// adopt takes over cursors, marks and numbers. Numbers only go forward: what a
// reader may have seen is never given again.
func (l *Log) adopt(st *state, lost bool) {
	l.fresh = lost || (st.Generation == 0 && l.durable.seq > 1)
	if l.fresh {
		l.log.Error("the saved state is lost: outputs start at the oldest event in the log")
	}
	l.durable.block = max(l.durable.block, st.Block)
	l.durable.seq = max(l.durable.seq, st.NextSeq)
	for name, c := range st.Cursors {
		l.durable.seq = max(l.durable.seq, c.Seq)
		l.cursors[name] = &Cursor{log: l, name: name, start: c.Start, seq: c.Seq, told: c.Seq, counts: c.Counts, ahead: c.Ahead, lastSent: c.LastSent}
	}
	maps.Copy(l.marks, st.Marks)
	l.writtenOff = st.Lost
	l.saved = saved{generation: st.Generation, cursors: map[string]uint64{}, stale: true}
}

// snapshotLocked is the state as it is now.
func (l *Log) snapshotLocked() *state {
	st := &state{
		Version: stateVersion, Generation: l.saved.generation + 1, Time: l.opts.Now().UTC(),
		NextSeq: l.durable.seq, Block: l.durable.block, Lost: l.writtenOff,
		Cursors: make(map[string]cursorState, len(l.cursors)), Marks: maps.Clone(l.marks),
	}
	for name, c := range l.cursors {
		st.Cursors[name] = cursorState{Start: c.start, Seq: c.seq, Ahead: c.ahead, Counts: c.counts, LastSent: c.lastSent}
	}
	return st
}

// saveState writes a new generation, if there is anything new.
func (l *Log) saveState() error {
	l.saveMu.Lock()
	defer l.saveMu.Unlock()
	l.mu.Lock()
	if !l.saved.changed && !l.saved.stale && l.saved.newest != nil {
		l.mu.Unlock()
		return nil
	}
	begun := time.Now()
	st := l.snapshotLocked()
	changed := l.saved.changed
	l.saved.changed = false
	l.moved, l.movedSaid = 0, false
	l.mu.Unlock()
	data, err := encodeState(st)
	l.stateCost.Store(int64(time.Since(begun)))
	if err == nil {
		err = l.writeState(data)
	}
	if err != nil && l.dropBallast(err) {
		err = l.writeState(data)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.saved.changed = true
		return err
	}
	old := l.saved.newest
	l.saved.stale = changed || old == nil
	l.saved.generation, l.saved.newest, l.saved.block = st.Generation, st, st.Block
	low := map[string]uint64{}
	for name, c := range st.Cursors {
		low[name] = c.Seq
	}
	if old != nil {
		l.saved.block = min(l.saved.block, old.Block)
		for name, c := range old.Cursors {
			if seq, ok := low[name]; ok {
				low[name] = min(seq, c.Seq)
			}
		}
	} else {
		l.saved.block = 0
	}
	l.saved.cursors = low
	return nil
}

// writeState keeps the generation before as state.json.old.
func (l *Log) writeState(data []byte) error {
	path := l.statePath()
	// The new one is complete on disk before the old one loses its name.
	next := path + ".next"
	if err := l.disk.writeFile(next, data); err != nil {
		return err
	}
	if err := l.disk.rename(path, path+".old"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := l.disk.rename(next, path); err != nil {
		return err
	}
	return l.disk.syncDir(l.opts.Dir)
}

// changedLocked notes that there is something to save.
func (l *Log) changedLocked() {
	l.saved.changed = true
}
