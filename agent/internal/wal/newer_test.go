package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
)

// TestNewer finds that a log of a newer version is refused and not touched.
func TestNewer(t *testing.T) {
	s := newSample(t, "none", samplePuts)
	dir := fastDir(t)
	test := func(what string, change func(f map[string][]byte)) {
		s.install(t, dir, change)
		before := snapshotDir(t, dir)
		o := s.opts
		o.Dir = dir
		if l, err := Open(o); !errors.Is(err, ErrNewer) {
			if err == nil {
				l.Close()
			}
			t.Errorf("%s: Open = %v, want ErrNewer", what, err)
		}
		if _, err := Verify(dir); !errors.Is(err, ErrNewer) {
			t.Errorf("%s: Verify = %v, want ErrNewer", what, err)
		}
		after := snapshotDir(t, dir)
		delete(before, "lock")
		delete(after, "lock")
		if fmt.Sprint(before) != fmt.Sprint(after) {
			t.Errorf("%s: the directory was touched", what)
		}
	}
	names := segmentNames(s.files)
	for i, name := range names {
		if len(s.files[name]) == 0 {
			continue
		}
		test(fmt.Sprint("version in segment ", i), func(f map[string][]byte) { resign(f[name], func(h []byte) { h[12] = version + 1 }) })
		test(fmt.Sprint("codec in segment ", i), func(f map[string][]byte) { resign(f[name], func(h []byte) { h[13] = 200 }) })
		test(fmt.Sprint("flags in segment ", i), func(f map[string][]byte) { resign(f[name], func(h []byte) { h[15] = 1 }) })
		test(fmt.Sprint("required field in segment ", i), func(f map[string][]byte) { resign(f[name], func(h []byte) { h[fixedHeader] = 100 }) })
	}
	test("state", func(f map[string][]byte) {
		data, _ := encodeState(&state{Version: stateVersion + 1, Generation: 99})
		f["state.json"] = data
	})
	// An unknown field that may be skipped is.
	s.install(t, dir, func(f map[string][]byte) {
		for _, name := range names {
			if len(f[name]) > 0 {
				resign(f[name], func(h []byte) {
					// Behind the field of the inputs' names comes that of the kinds.
					at := fixedHeader + 5 + int(binary.LittleEndian.Uint32(h[fixedHeader+1:]))
					if h[at] != fieldKinds {
						t.Fatalf("field %d, want the kinds", h[at])
					}
					h[at] = 101
				})
			}
		}
	})
	s.survive(t, "optional field", dir, true, func(sampleBlock) bool { return true })
}
