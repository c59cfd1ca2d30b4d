package delivery

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/wal"
)

func TestFailedStoreQueries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCursor("siem")
		dir := t.TempDir()
		s := openStore(t, dir, c, func(o *FailedOptions) { o.MaxSize = 12_000; o.noSync = true }) // several files
		for i := range 20 {
			r := refusalOf(i + 1)
			if i%2 == 0 {
				r.event.Type, r.event.Severity = []byte("anomaly"), agent.High
			}
			if i == 4 {
				r.err = errors.New("Mapper Exception")
			}
			if err := s.Add([]Entry{newEntry(r, "siem", "")}); err != nil {
				t.Fatal(err)
			}
			c.Advance(uint64(i+2), wal.Counts{Failed: 1})
			time.Sleep(time.Minute)
		}
		f := func(filter FailedFilter, want string) {
			t.Helper()
			if got := fmt.Sprint(list(t, s, filter)); got != want {
				t.Errorf("%+v: %s, want %s", filter, got, want)
			}
		}
		f(FailedFilter{EventType: "anomaly", MaxAge: 6 * time.Minute}, "[15 17 19]")
		f(FailedFilter{Severity: agent.High, MaxAge: 6 * time.Minute}, "[15 17 19]")
		f(FailedFilter{Match: "mapper"}, "[5]")
		f(FailedFilter{Match: `"N":7}`}, "[7]")
		f(FailedFilter{MaxAge: 2 * time.Minute}, "[19 20]")

		// Page by page.
		var seqs []uint64
		cursor := ""
		for {
			entries, next, err := s.List(FailedFilter{}, cursor, 7)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				seqs = append(seqs, e.Seq)
			}
			if next == "" {
				break
			}
			cursor = next
		}
		if len(seqs) != 20 || seqs[0] != 1 || seqs[19] != 20 {
			t.Errorf("pages = %v", seqs)
		}
		all, _, _ := s.List(FailedFilter{}, "", 100)
		if e, ok, err := s.Get(all[12].ID); !ok || err != nil || e.Seq != 13 {
			t.Errorf("Get = %+v, %v, %v", e, ok, err)
		}
		for _, id := range []string{"", "zz", formatID(1), formatID(1 << 63)} {
			if _, ok, _ := s.Get(id); ok {
				t.Errorf("Get(%q) found something", id)
			}
		}
		if e, ok := s.find(13); !ok || e.ID != all[12].ID {
			t.Errorf("find = %+v", e)
		}
		var out bytes.Buffer
		if err := s.Export(&out, FailedFilter{EventType: "anomaly"}); err != nil || bytes.Count(out.Bytes(), []byte("\n")) != 10 || bytes.Contains(out.Bytes(), []byte(`"meta"`)) {
			t.Errorf("Export: %v, %s", err, out.String())
		}
		if n, err := s.Purge(FailedFilter{EventType: "anomaly"}); n != 10 || err != nil {
			t.Errorf("Purge = %d, %v", n, err)
		}
		addTo(t, s, c, 21, 1)
		s.Close()
		s = openStore(t, dir, c)
		s.reconcile()
		if n := len(list(t, s, FailedFilter{})); n != 11 || s.Len() != 11 {
			t.Errorf("%d entries, Len = %d", n, s.Len())
		}
		if got := c.Counts(); got != (wal.Counts{Failed: 11, Expired: 10}) {
			t.Errorf("counts = %+v", got)
		}
	})
}
