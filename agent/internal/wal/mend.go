package wal

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
)

// RepairReport says what Repair found, did and left behind.
type RepairReport struct {
	Before  *Report  `json:"before"`
	After   *Report  `json:"after"`
	Actions []string `json:"actions"`
}

// Repair moves everything that is no good block of the log into quarantine, so
// that Verify finds nothing any more, and writes off the events that are lost
// by it. Good blocks are never touched. Opening the log needs none of this:
// it repairs what it must, and readers step over the rest. The error is a
// *LockedError if an agent is running on dir.
func Repair(dir string, log *slog.Logger) (*RepairReport, error) {
	before, err := Verify(dir)
	if err != nil {
		return nil, err
	}
	r := &RepairReport{Before: before, Actions: []string{}}
	l, err := newLog(Options{Dir: dir, Log: log})
	if err != nil {
		return nil, err
	}
	if l.lock, err = lockDir(dir); err != nil {
		return nil, err
	}
	defer l.lock.Close()
	if err := l.open(); err != nil {
		return nil, err
	}
	if err := l.tw.Close(); err != nil {
		return nil, err
	}
	for _, s := range l.segs {
		s.closeSync()
		if err := l.rebuild(s, r); err != nil {
			return nil, err
		}
	}
	l.saved.changed = true
	if err := l.saveState(); err != nil {
		return nil, err
	}
	// What is missing only now was in a segment of which nothing is left.
	rest, err := Verify(dir)
	if err != nil {
		return nil, err
	}
	l.writeOff(r, before.Damage)
	l.writeOff(r, rest.Damage)
	l.saved.changed = true
	// Twice, so that both generations know.
	for range 2 {
		if err := l.saveState(); err != nil {
			return nil, err
		}
	}
	for _, name := range before.Strays {
		r.Actions = append(r.Actions, "moved "+name+" into quarantine")
	}
	r.After, err = Verify(dir)
	return r, err
}

// writeOff notes the events that damage has cost as lost for good.
func (l *Log) writeOff(r *RepairReport, damage []Damage) {
	for _, d := range damage {
		if d.FirstSeq == 0 || knows(l.writtenOff, d.FirstSeq, d.LastSeq) {
			continue
		}
		r.Actions = append(r.Actions, fmt.Sprintf("wrote off events %d to %d", d.FirstSeq, d.LastSeq))
		l.writtenOff = append(l.writtenOff, Span{d.FirstSeq, d.LastSeq})
		slices.SortFunc(l.writtenOff, func(a, b Span) int { return cmp.Compare(a.First, b.First) })
	}
}

// rebuild writes a segment anew with its good blocks only, if it has others.
func (l *Log) rebuild(s *segment, r *RepairReport) error {
	in, err := openFile(s.path)
	if err != nil {
		return err
	}
	defer in.release()
	info, err := in.f.Stat()
	if err != nil {
		return err
	}
	sc := scanner{f: in, limit: info.Size(), low: s.index, high: maxNumber}
	for _, other := range l.segs {
		if other.index > s.index {
			sc.high = min(sc.high, other.index)
		}
	}
	var good, bad []scrap
	end := int64(0)
	for {
		ok, err := sc.next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if end < sc.begin {
			bad = append(bad, scrap{s, end, sc.begin})
		}
		end = sc.off
		if err := sc.payload(); isDamage(err) {
			bad = append(bad, scrap{s, sc.begin, sc.off})
		} else if err != nil {
			return err
		} else {
			good = append(good, scrap{s, sc.at - int64(sc.h.size), sc.off})
		}
	}
	if end < info.Size() {
		bad = append(bad, scrap{s, end, info.Size()})
	}
	if len(bad) == 0 {
		return nil
	}
	for _, b := range bad {
		target := filepath.Join(l.quarantineDir(), scrapName(s, b.from, b.to))
		if err := l.copyAside(s.path, b.from, b.to, target); err != nil {
			return fmt.Errorf("set damaged bytes aside: %w", err)
		}
		r.Actions = append(r.Actions, fmt.Sprintf("moved bytes %d to %d of segment %s into quarantine", b.from, b.to, filepath.Base(s.path)))
	}
	if len(good) == 0 && s != l.segs[len(l.segs)-1] {
		return l.disk.remove(s.path)
	}
	return l.copyGood(in, s.path, good)
}

func (l *Log) copyGood(in *file, path string, good []scrap) error {
	tmp := path + ".tmp"
	out, err := l.disk.open(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	defer os.Remove(tmp)
	defer out.Close()
	for _, g := range good {
		if _, err := out.Write(appendFrame(nil, int(g.to-g.from))); err != nil {
			return err
		}
		if _, err := io.Copy(out, io.NewSectionReader(in.f, g.from, g.to-g.from)); err != nil {
			return err
		}
	}
	if err := l.disk.sync(out); err != nil {
		return err
	}
	if err := l.disk.rename(tmp, path); err != nil {
		return err
	}
	return l.disk.syncDir(l.dir)
}
