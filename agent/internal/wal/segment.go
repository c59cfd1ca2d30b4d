package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// A segment is one file of the log. Its name is the number of its first block.
type segment struct {
	index uint64
	path  string

	// Guarded by Log.mu.
	first   uint64 // sequence number of its first event
	time    int64  // when its first block was written; 0: unknown
	size    int64  // bytes that readers may see
	written int64  // bytes in the file
	done    bool   // fsynced to its end, and no more is written

	planned bool // the file is not made yet; used by the committer only

	f     *os.File    // for fsync; nil once done
	named atomic.Bool // the directory has been fsynced since it was made
}

func segmentPath(dir string, index uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%020d", index))
}

func (s *segment) closeSync() {
	if s.f != nil {
		s.f.Close()
		s.f = nil
	}
}

// listSegments gives the segments in dir in order, and the names of strays
// that look like tidwall's leftovers or ours.
func listSegments(dir string) (segs []*segment, strays []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		name := e.Name()
		if !e.Type().IsRegular() {
			continue
		}
		if len(name) < 20 || strings.HasSuffix(name, ".tmp") {
			continue
		}
		index, err := strconv.ParseUint(name[:20], 10, 64)
		if err != nil {
			continue
		}
		if len(name) > 20 || index == 0 || index >= maxNumber {
			strays = append(strays, name)
			continue
		}
		info, err := e.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue // truncated while we looked
		} else if err != nil {
			return nil, nil, err
		}
		segs = append(segs, &segment{index: index, path: filepath.Join(dir, name), size: info.Size(), written: info.Size()})
	}
	slices.SortFunc(segs, func(a, b *segment) int {
		if a.index < b.index {
			return -1
		}
		return 1
	})
	return segs, strays, nil
}

// firstRead is read of a block at once: more than most headers take.
const firstRead = 1 << 10

// A scanner walks the blocks of a segment by their headers. It steps over
// what is no block to the next one that is whole.
type scanner struct {
	f      *file
	off    int64  // where the next entry should begin
	limit  int64  // where the readable part ends
	low    uint64 // the numbers that the next block may have: low <= number < high
	high   uint64
	h      header
	at     int64 // of the payload of the block that next found
	begin  int64 // of its entry
	framed bool  // its entry has the frame that tidwall expects
	buf    []byte
	window []byte
}

// next finds the next block. from < to: the bytes between are no block, and
// the block begins at to. io.EOF is told by ok = false: then the rest, from
// s.off to the limit, holds no block. ErrNewer and the errors of the disk end the walk.
func (s *scanner) next() (ok bool, err error) {
	if s.off >= s.limit {
		return false, nil
	}
	err = s.entry(s.off)
	switch {
	case err == nil:
		s.begin, s.framed = s.off, true
		s.take()
		return true, nil
	case isDamage(err):
		return s.resync()
	}
	return false, err
}

func (s *scanner) take() {
	s.off = s.at + int64(s.h.stored)
	s.low = s.h.number + 1
}

func isDamage(err error) bool {
	return errors.Is(err, errShort) || errors.Is(err, errNoBlock) || errors.Is(err, errBadHeader)
}

// entry reads the frame and the header at off.
func (s *scanner) entry(off int64) error {
	if err := s.read(off, int(min(firstRead, s.limit-off))); err != nil {
		return err
	}
	size, n := binary.Uvarint(s.buf)
	if n <= 0 {
		return errNoBlock
	}
	if err := s.header(off+int64(n), s.buf[n:]); err != nil {
		return err
	}
	if size != uint64(s.h.entrySize()) {
		return errNoBlock
	}
	return nil
}

// header decodes the header at off, of which got has been read.
func (s *scanner) header(off int64, got []byte) error {
	size, err := headerSize(got)
	if err != nil {
		return err
	}
	if off+int64(size) > s.limit {
		return errShort
	}
	if size > len(got) {
		if err := s.read(off, size); err != nil {
			return err
		}
		got = s.buf
	}
	if err := decodeHeader(got, &s.h); err != nil {
		return err
	}
	if s.h.number < s.low || s.h.number >= s.high {
		return errNoBlock
	}
	s.at = off + int64(size)
	if s.at+int64(s.h.stored) > s.limit {
		return errShort
	}
	return nil
}

func (s *scanner) read(off int64, n int) error {
	s.buf = slices.Grow(s.buf[:0], n)[:n]
	return s.f.readFull(s.buf, off)
}

// resync looks for the next whole block behind s.off.
func (s *scanner) resync() (bool, error) {
	const windowSize = 256 << 10
	if s.window == nil {
		s.window = make([]byte, windowSize)
	}
	for off := s.off; off < s.limit; {
		w := s.window[:min(windowSize, s.limit-off)]
		if err := s.f.readFull(w, off); err != nil {
			if errors.Is(err, errShort) {
				return false, nil
			}
			return false, err
		}
		step := int64(len(w))
		if off+step < s.limit {
			step -= int64(len(magic)) - 1 // it may lie across
		}
		for i := 0; ; i++ {
			j := bytes.Index(w[i:], []byte(magic))
			if j < 0 {
				break
			}
			i += j
			at := off + int64(i)
			if err := s.whole(at); err == nil {
				s.begin, s.framed = at, false
				s.take()
				return true, nil
			} else if !isDamage(err) {
				return false, err
			}
		}
		off += step
	}
	return false, nil
}

// whole checks header and payload of the block at off.
func (s *scanner) whole(off int64) error {
	if err := s.read(off, int(min(firstRead, s.limit-off))); err != nil {
		return err
	}
	if err := s.header(off, s.buf); err != nil {
		return err
	}
	return s.payload()
}

// payload checks the payload of the block that was found.
func (s *scanner) payload() error {
	stored := newBuffer(int(s.h.stored))
	defer stored.release()
	stored.b = stored.b[:s.h.stored]
	if err := s.f.readFull(stored.b, s.at); err != nil {
		return err
	}
	raw, err := payloadOf(&s.h, stored)
	if err != nil {
		return errBadHeader
	}
	raw.release()
	return nil
}

// appendFrame appends what tidwall's log puts before an entry of that size.
func appendFrame(dst []byte, size int) []byte { return binary.AppendUvarint(dst, uint64(size)) }
