package wal

import (
	"errors"
	"io"
	"os"
)

// sector is the least that a disk writes as a whole.
const sector = 512

// unwritten finds where in the last segment the power was cut. What is
// written between two fsyncs reaches the disk in any order, so that there may be
// whole blocks behind one that is missing. Nobody has been told that they are
// stored, and their marks would claim the lines of the one that is missing.
//
// A gap at or below known, or below what a later block says was fsynced when
// it was made, is damage, and what lies behind is good. Any other gap that
// holds sectors of zeros was never written: the segment ends there, at limit.
// If it holds something else nobody knows, so what lies behind is kept, but
// not its marks: doubt is the number of the first block in such a gap.
func unwritten(sc scanner, known uint64) (limit int64, doubt uint64, err error) {
	type gap struct {
		number   uint64
		from, to int64
	}
	var gaps []gap
	next, end := sc.low, int64(0)
	for {
		ok, err := sc.next()
		if err != nil {
			return 0, 0, err
		}
		if !ok {
			break
		}
		if end < sc.begin || next < sc.h.number {
			gaps = append(gaps, gap{next, end, sc.begin})
		}
		next, end = sc.h.number+1, sc.off
		if err := sc.payload(); isDamage(err) {
			gaps = append(gaps, gap{sc.h.number, sc.begin, sc.off})
		} else if err != nil {
			return 0, 0, err
		}
		known = max(known, sc.h.durable)
	}
	for _, g := range gaps {
		if g.number <= known {
			continue
		}
		zero, err := hasZeroSector(sc.f, g.from, g.to)
		switch {
		case err != nil:
			return 0, 0, err
		case zero:
			return g.from, doubt, nil
		case doubt == 0:
			doubt = g.number
		}
	}
	return sc.limit, doubt, nil
}

// hasZeroSector reports whether the part of a sector that lies between from
// and to is all zeros. No block has that many in a row.
func hasZeroSector(f *file, from, to int64) (bool, error) {
	const least = 32 // shorter parts prove nothing
	var buf [sector]byte
	for from < to {
		end := min(to, (from/sector+1)*sector)
		part := buf[:end-from]
		if err := f.readFull(part, from); err != nil {
			return false, err
		}
		if len(part) >= least && allZero(part) {
			return true, nil
		}
		from = end
	}
	return false, nil
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// settle makes the bytes of a segment durable, whoever wrote them. An fsync
// alone would not do: after one that failed, perhaps in a process that is gone,
// the kernel takes pages for clean that never reached the disk. So they are
// written once more, as they are.
func (l *Log) settle(path string) error {
	f, err := l.disk.open(path, os.O_RDWR)
	if err != nil {
		return err
	}
	defer f.Close()
	err = l.disk.do("rewrite", path, func() error {
		buf := make([]byte, 256<<10)
		for at := int64(0); ; {
			n, err := f.ReadAt(buf, at)
			if _, err := f.WriteAt(buf[:n], at); err != nil {
				return err
			}
			if at += int64(n); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
		}
	})
	if err != nil && !noSpace(err) { // a full disk that copies on write
		return err
	}
	return l.disk.sync(f)
}
