package tail

import (
	"bytes"
	"errors"
	"io"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/adrian207/siemd/agent"
)

// maxStreams bounds the decoders open at a time: each has its own window.
const maxStreams = 4

// serve reads one block of f into b and hands it over. It reports whether b is
// on its way; if not, b is the caller's again.
func (r *run) serve(f *file, b *buffer) bool {
	now := time.Now()
	if r.ensureOpen(f) != nil {
		return false
	}
	f.used = now
	if f.compressed() && f.stream == nil {
		if now.Sub(f.changed) < r.t.timing.settle {
			r.pending[f] = true // it is still being written
			return false
		}
		if r.streams >= maxStreams {
			r.enqueue(f)
			return false
		}
		f.stream = newStream(f.fd, f.pack)
		r.streams++
	}
	if !f.marked && !r.decide(f, now) {
		return false
	}
	block, seen, end, err := r.read(f, b)
	switch {
	case errors.Is(err, errPartial), errors.Is(err, errTruncated):
		return false
	case err != nil && !errors.Is(err, errUnfinished):
		r.trouble(f, err)
		return false
	}
	final := f.final && end && err == nil
	b.cut.reset()
	used, skip := b.cut.split(block[seen:], f.offset, int(r.t.config.MaxLine), f.skipping, final)
	left := int64(len(block)-seen) - int64(used)
	next := f.state
	next.advance(block[:seen+used], seen)
	next.skipping = skip
	more := !end || len(b.cut.lines)+len(b.cut.refused) >= maxLines
	next.finished = final && !more
	if next.finished {
		f.final = false
	}
	changed := used > 0 || next.finished && !f.finished
	if used > 0 && seen == 0 && !f.lost {
		// No text proves that this is what came right after the truncation: there
		// may have been another one since, with a copy of what was between them.
		if f.gen > 0 {
			r.seek(f)
		} else {
			r.seekFirst(f)
		}
		next.unsought = f.unsought
		// Copies are listed before what came after them is stored: later nobody would look for them.
		r.flushCatalog()
	}
	f.state, f.seen, f.atEnd, f.looked = next, next.offset+left, !more && err == nil, now
	if more {
		r.enqueue(f)
	}
	if err != nil {
		r.trouble(f, err)
	} else if f.trouble != "" {
		f.trouble = ""
		r.log.Info("the file can be read again", "path", f.path)
	}
	if !changed {
		return false
	}
	r.handOver(f, b, int64(used))
	return true
}

var errTruncated = errors.New("the file was truncated")

// read fills b with what stands before f's offset, seen bytes, and what
// follows. The first proves that the file still is what it was. end says that
// the file ends there.
func (r *run) read(f *file, b *buffer) (block []byte, seen int, end bool, err error) {
	seen = f.tailLen
	limit := int(r.t.config.MaxLine)
	// A long line that comes in small pieces is not read from its beginning for each of them.
	if pending := f.seen - f.offset; pending > blockSize && pending <= int64(limit) && !f.final {
		n, err := f.readAt(r.room(b, blockSize), f.seen)
		if err != nil && err != io.EOF {
			return nil, 0, false, err
		}
		if n > 0 && bytes.IndexByte(b.data[:n], '\n') < 0 && pending+int64(n) <= int64(limit) && err == io.EOF {
			f.seen += int64(n)
			f.atEnd = true
			return nil, 0, true, errPartial
		}
	}
	for size := blockSize; ; size *= 2 {
		size = min(size, limit+blockSize)
		block = r.room(b, seen+size)
		n, err := f.readAt(block, f.offset-int64(seen))
		block = block[:n]
		if err != nil && err != io.EOF && !errors.Is(err, errUnfinished) {
			if n <= seen || !f.skipping && bytes.IndexByte(block[seen:], '\n') < 0 {
				return nil, 0, false, err
			}
			err = nil // first the lines before the damage; then nothing is left before it
		}
		if n < seen || xxhash.Sum64(block[:seen]) != f.tail && seen > 0 {
			if errors.Is(err, errUnfinished) {
				return nil, 0, false, errTruncatedLater
			}
			r.truncated(f)
			return nil, 0, false, errTruncated
		}
		if !f.still(block, f.offset-int64(seen)) || !f.sameHead() {
			r.truncated(f)
			return nil, 0, false, errTruncated
		}
		if seen > 0 && !f.unsought {
			f.copiesTo = f.used.UnixNano()
		}
		end = err == io.EOF || errors.Is(err, errUnfinished)
		if err == io.EOF {
			err = nil
		}
		if end || f.skipping || size > limit || bytes.IndexByte(block[seen:], '\n') >= 0 {
			return block, seen, end, err
		}
	}
}

// still looks again at the beginning of what was read at off. A file that is
// truncated and grows while it is read gives a piece of each text; if the
// beginning stands afterwards, all of it stood before.
func (f *file) still(block []byte, off int64) bool {
	if f.compressed() || len(block) == 0 {
		return true // a stream is not read twice; whoever truncates one breaks it
	}
	var again [window]byte
	begin := block[:min(len(block), window)]
	n, _ := f.readAt(again[:len(begin)], off) // an error comes back in the next turn
	return bytes.Equal(again[:n], begin)
}

// sameHead reports whether f begins as it did. Lines of one length that all end
// alike tell nothing by what stands before the offset.
func (f *file) sameHead() bool {
	if f.compressed() || f.offset <= int64(f.tailLen) {
		return true // a stream is not read twice; what stands before the offset is all there is
	}
	var head [window]byte
	n, _ := f.readAt(head[:f.headLen], 0) // an error comes back in the next turn
	return n < f.headLen || growHead(fnvBasis, head[:n]) == f.head
}

// errPartial and errTruncatedLater end a turn without a change.
var (
	errPartial        = errors.New("the last line has not ended")
	errTruncatedLater = errors.New("the compressed file is shorter than what was read of it; it may not be complete yet")
)

// room makes b hold size bytes.
func (r *run) room(b *buffer, size int) []byte {
	if cap(b.data) < size {
		b.data = make([]byte, max(size, blockSize+window))
	}
	b.data = b.data[:size]
	return b.data
}

// handOver puts the lines in b in line for the log, with f's state as mark.
func (r *run) handOver(f *file, b *buffer, bytes int64) {
	if r.dirty[f.id.shard()] {
		r.flushCatalog() // no file has a mark without being listed
	}
	f.seq, f.seqSure, f.marked = f.ackedSeq, false, true
	if f.at = f.used.UnixNano(); f.unsought {
		f.at = f.copiesTo
	}
	b.mark = appendState(b.mark[:0], &f.state)
	since := int64(0)
	if f.atEnd {
		since, f.since = f.since, 0
	}
	f.inflight++
	r.meters.bytes.Add(int(bytes))
	r.outbox = append(r.outbox, &job{
		file: f, buffer: b, bytes: bytes, offset: f.offset,
		batch: agent.Batch{
			Lines: b.cut.lines, Offsets: b.cut.offsets, Refused: b.cut.refused,
			Origin: f.originOf(), File: f.path, Since: since,
			Mark: &agent.Mark{Key: f.id.key(), Pos: b.mark},
		},
	})
}

// saveState hands over f's state alone.
func (r *run) saveState(f *file) *job {
	return r.submitMark(f, f.id.key(), appendState(nil, &f.state))
}

// truncated begins a new generation of f.
func (r *run) truncated(f *file) {
	r.meters.truncations.Inc()
	r.log.Info("a file was truncated or replaced in place, reading it from its beginning", "path", f.path, "id", f.id, "offset", f.offset, "size", f.size)
	copied := f.isCopy(r.t)
	if f.peak > f.offset && !f.compressed() && !copied {
		r.suspect(f, "the file was truncated before all of it was read", r.t.timing.twin)
	}
	if f.offset > 0 {
		f.remember(time.Now())
		r.kin.remember(f)
	}
	f.print, f.skipping, f.finished, f.final = print{}, false, false, false
	f.gen++
	f.origin = f.id.String()
	f.seen, f.peak = 0, f.size
	f.seqSure, f.marked = false, true
	r.closeStream(f)
	if !f.lost {
		// Copies are listed before the truncation is: later nobody would look for them.
		r.seek(f)
		r.flushCatalog()
	}
	if copied {
		// Perhaps the next copy, made over the last one. As long as that is not
		// known its mark stays, and finds out again.
		f.marked, f.found, f.changed = false, time.Now(), time.Now()
		f.onlyTwin = !r.t.matches(f.path)
	} else {
		r.saveState(f)
	}
	r.enqueue(f)
}

// isCopy reports whether f was copied from another file: then nobody but who
// copies writes to it.
func (f *file) isCopy(t *Tail) bool {
	beside := f.lost && !f.wasOwn && !t.matches(f.path)
	return !f.compressed() && (beside || f.origin != f.id.String())
}
