package wal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/adrian207/siemd/agent"
)

func sampleHeader() *header {
	return &header{
		codec: codecS2, number: 7, first: 100, count: 3, raw: 300, stored: 120, crc: 1, time: 5, durable: 6,
		inputs: []string{"a", "b"}, kinds: []kind{{typ: []byte("alert"), severity: agent.High, count: 3}},
		targets: []string{"x"}, marks: []agent.Mark{{Key: "k", Pos: []byte("p")}, {Key: "gone"}, {Key: "empty", Pos: []byte{}}},
	}
}

// FuzzHeader: any bytes either are no header, or one that encodes to the same again.
func FuzzHeader(f *testing.F) {
	f.Add(appendHeader(nil, sampleHeader()), true)
	f.Add(appendHeader(nil, &header{number: 1, first: 1}), false)
	f.Add([]byte(magic), false)
	f.Fuzz(func(t *testing.T, b []byte, mend bool) {
		if size, err := headerSize(b); mend && err == nil && size <= len(b) {
			b = bytes.Clone(b)
			sum := checksum(b[8:size]) // else the checksum hides all the rest from the fuzzer
			b[4], b[5], b[6], b[7] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
		}
		var h, again header
		err := decodeHeader(b, &h)
		if err != nil {
			if !isDamage(err) && !errors.Is(err, ErrNewer) {
				t.Fatalf("unknown error %v", err)
			}
			return
		}
		if err := decodeHeader(appendHeader(nil, &h), &again); err != nil {
			t.Fatalf("%+v encodes to what does not decode: %v", h, err)
		}
		if again.size = h.size; !bytes.Equal(appendHeader(nil, &again), appendHeader(nil, &h)) {
			t.Fatalf("%+v became %+v", h, again)
		}
	})
}

// FuzzPayload: any payload decodes to events or an error.
func FuzzPayload(f *testing.F) {
	l := new(Log)
	c := l.NewChunk()
	for i := range 5 {
		c.Add(event(i))
	}
	f.Add(join([]*Chunk{c}, 0, new(header)).b, uint16(5))
	f.Add([]byte{0, 0, 0, 0}, uint16(0))
	f.Fuzz(func(t *testing.T, raw []byte, count uint16) {
		b := newBlock(nil, &header{number: 1, first: 1, count: uint32(count), inputs: []string{"a", "b"}})
		b.raw = []*buffer{newBuffer(len(raw))}
		b.raw[0].b = append(b.raw[0].b, raw...)
		events, err := b.Events(nil)
		if err == nil && len(events) != int(count) {
			t.Fatalf("%d events, want %d", len(events), count)
		}
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Fatalf("unknown error %v", err)
		}
	})
}

// FuzzEvent: what goes in comes out.
func FuzzEvent(f *testing.F) {
	f.Add(int64(1), int64(2), uint8(3), []byte("id"), []byte("type"), []byte("source"), []byte(`{"event_id":"id"}`), 13, 2)
	f.Add(int64(-1<<63), int64(1<<63-1), uint8(7), []byte(""), []byte(""), []byte(""), []byte(""), 0, 0)
	f.Fuzz(func(t *testing.T, when, received int64, sev uint8, id, typ, source, body []byte, at, n int) {
		e := agent.Event{Time: when, Received: received, Severity: agent.Severity(sev & 7), ID: id, Type: typ, Source: source, Body: body}
		if at >= 0 && n >= 0 && at <= len(body) && n <= len(body)-at {
			e.ID = body[at : at+n]
		}
		var got agent.Event
		rest, err := decodeEvent(appendEvent(nil, &e, 17), &got, 17)
		if err != nil || len(rest) != 0 {
			t.Fatalf("%+v: %d bytes left, %v", e, len(rest), err)
		}
		if !equalEvents(&got, &e) {
			t.Fatalf("got %+v, want %+v", got, e)
		}
	})
}

// FuzzState: any bytes are a state or damaged.
func FuzzState(f *testing.F) {
	data, err := encodeState(&state{Version: stateVersion, Generation: 3, NextSeq: 5, Marks: map[string][]byte{"a": []byte("b")}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"crc32c":"00000000","state":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		st, err := decodeState(b)
		if (st == nil) != (err != nil) {
			t.Fatalf("%v, %v", st, err)
		}
	})
}

// FuzzOpen: a log opens whatever its two segments hold, takes events and
// gives back what it took.
func FuzzOpen(f *testing.F) {
	s := newSample(f, "none", []int{3, 20, 30, 2})
	names := segmentNames(s.files)
	f.Add(s.files[names[0]], s.files[names[1]], uint8(11))
	f.Add([]byte("x"), []byte(nil), uint8(2))
	base := fastDir(f)
	f.Fuzz(func(t *testing.T, first, second []byte, index uint8) {
		dir, err := os.MkdirTemp(base, "")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		if err := os.MkdirAll(walDir(dir), 0o700); err != nil {
			t.Fatal(err)
		}
		for i, b := range [][]byte{first, second} {
			path := segmentPath(walDir(dir), uint64(i)*uint64(index)+1)
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "state.json"), s.files["state.json"], 0o600); err != nil {
			t.Fatal(err)
		}
		o := Options{Dir: dir, SegmentSize: 4 << 10, disk: noSync()}
		l, err := Open(o)
		if errors.Is(err, ErrNewer) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		at, _ := put(t, l, 1000, 4)
		if at < s.head {
			t.Fatalf("new events at %d, the state knows %d", at, s.head)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := Repair(dir, nil); err != nil {
			t.Fatal(err)
		}
		if r, err := Verify(dir); err != nil || !r.Clean() {
			t.Fatalf("after a repair: %+v, %v", r, err)
		}
		n := 0
		_, err = Dump(dir, Range{FirstSeq: at}, func(e *agent.Event) error {
			want := event(1000 + n)
			want.Seq = at + uint64(n)
			if n++; !equalEvents(e, want) {
				t.Fatalf("got %+v, want %+v", e, want)
			}
			return nil
		})
		if err != nil || n != 4 {
			t.Fatalf("%d of 4 events are there: %v", n, err)
		}
	})
}

// FuzzRepair: whatever a log and its state hold, a repair leaves it clean, and
// with every event that could be read before.
func FuzzRepair(f *testing.F) {
	s := newSample(f, "none", []int{3, 20, 30, 2})
	names := segmentNames(s.files)
	f.Add(s.files[names[0]], s.files[names[1]], s.files["state.json"], uint8(11))
	f.Add(s.files[names[1]], s.files[names[0]], []byte("{"), uint8(1))
	torn := slices.Clone(s.files[names[0]])
	torn[len(torn)/2] ^= 1
	f.Add(torn, torn[:len(torn)-9], []byte(nil), uint8(3))
	base := fastDir(f)
	f.Fuzz(func(t *testing.T, first, second, state []byte, index uint8) {
		dir, err := os.MkdirTemp(base, "")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		if err := os.MkdirAll(walDir(dir), 0o700); err != nil {
			t.Fatal(err)
		}
		for path, b := range map[string][]byte{
			segmentPath(walDir(dir), 1): first, segmentPath(walDir(dir), uint64(index)+2): second, filepath.Join(dir, "state.json"): state,
		} {
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		events := func() (list []string, damage []Damage) {
			damage, err := Dump(dir, Range{}, func(e *agent.Event) error {
				list = append(list, fmt.Sprintf("%d %s", e.Seq, e.Body))
				return nil
			})
			if err != nil && !errors.Is(err, ErrNewer) {
				t.Fatal(err)
			}
			return list, damage
		}
		before, _ := events()
		r, err := Repair(dir, nil)
		if errors.Is(err, ErrNewer) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if !r.After.Clean() {
			t.Fatalf("after a repair: %+v\nbefore: %+v", r.After, r.Before)
		}
		if after, damage := events(); !slices.Equal(after, before) || len(damage) > 0 {
			t.Fatalf("before:\n%q\nafter:\n%q\n%+v", before, after, damage)
		}
	})
}
