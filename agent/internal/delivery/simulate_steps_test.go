package delivery

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

func (s *simulation) step() {
	switch s.rng.IntN(12) {
	case 0, 1, 2, 3:
		var kinds []string
		badness := []float64{0, 0.02, 0.3}[s.rng.IntN(3)]
		for range 1 + s.rng.IntN(60) {
			switch k := s.rng.Float64(); {
			case k < badness/2:
				kinds = append(kinds, "bad")
			case k < badness:
				kinds = append(kinds, "unsendable")
			case k < 0.5:
				kinds = append(kinds, "good")
			default:
				kinds = append(kinds, []string{"good", "other"}[s.rng.IntN(2)])
			}
		}
		s.put(kinds...)
	case 4:
		k := 1 + s.rng.IntN(5)
		s.log.put([]string{"else"}, events(1_000_000, k, "good")...)
		s.want.Foreign += uint64(k)
	case 5:
		k := 1 + s.rng.IntN(5)
		s.log.lose(k)
		s.want.Expired += uint64(k)
	case 6:
		s.crash()
	case 7:
		if err := s.stop(); err != nil {
			s.t.Error(err)
		}
		if len(s.runner.window) > 0 {
			s.mayRepeat() // what was taken behind a batch that was not is sent again
		}
	case 8:
		ctx, cancel := context.WithTimeout(s.t.Context(), time.Duration(s.rng.IntN(20))*time.Second)
		defer cancel()
		_, _, _ = s.runner.RetryFailed(ctx, FailedFilter{})
	case 9:
		s.fake.mu.Lock()
		s.mended = s.chance(0.3)
		s.fake.mu.Unlock()
	case 10:
		s.runner.Kick()
		s.runner.Flush()
	default:
		time.Sleep(time.Duration(s.rng.IntN(60_000)) * time.Millisecond)
	}
	time.Sleep(time.Duration(s.rng.IntN(2000)) * time.Millisecond)
}

func (s *simulation) mayRepeat() {
	s.fake.mu.Lock()
	defer s.fake.mu.Unlock()
	s.repeats = true
}

// crash ends the process: the cursor is what was saved last, a line may be torn.
func (s *simulation) crash() {
	s.mayRepeat()
	var retry chan struct{}
	if s.chance(0.3) { // in the middle of a retry
		retry = make(chan struct{})
		r := s.runner
		go func() {
			defer close(retry)
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			_, _, _ = r.RetryFailed(ctx, FailedFilter{})
		}()
		time.Sleep(time.Duration(s.rng.IntN(1000)) * time.Millisecond)
	}
	saved := s.cursor.crash(s.rng.IntN)
	s.fake.mu.Lock()
	s.fake.dead = true
	s.fake.mu.Unlock()
	if err := s.stop(); err != nil {
		s.t.Error(err)
	}
	if retry != nil {
		<-retry
	}
	s.cursor = saved
	s.fake.mu.Lock()
	s.fake.dead = false
	s.fake.mu.Unlock()
	if s.chance(0.3) {
		files, _ := filepath.Glob(s.dir + "/*.jsonl")
		if len(files) > 0 {
			f, err := os.OpenFile(files[len(files)-1], os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				s.t.Fatal(err)
			}
			f.WriteString(`{"id":"00112233`)
			f.Close()
		}
	}
}

// settle adds up.
func (s *simulation) settle() {
	t := s.t
	stored := map[uint64]int{}
	for _, e := range s.entries() {
		stored[e.Seq]++
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	s.end()
	got := s.cursor.Counts()
	if int(got.Failed) != len(stored) || s.failed.Len() != len(stored) {
		t.Errorf("%d events in the store, Len = %d, counted %d", len(stored), s.failed.Len(), got.Failed)
	}
	want := s.want
	want.Failed, want.Sent = got.Failed, want.Sent+s.bad-got.Failed
	if got != want {
		t.Errorf("counts = %+v, want %+v", got, want)
	}
	for seq, kind := range s.kinds {
		taken := s.fake.taken[fmt.Sprintf("id-%d", s.index(seq))]
		switch kind {
		case "good":
			if taken == 0 || stored[seq] != 0 || taken > 1 && !s.repeats {
				t.Errorf("event %d: taken %d times, stored %d times", seq, taken, stored[seq])
			}
		case "bad", "unsendable":
			if stored[seq] > 1 || stored[seq] == 0 && taken == 0 {
				t.Errorf("bad event %d: taken %d times, stored %d times", seq, taken, stored[seq])
			}
		default:
			if taken != 0 || stored[seq] != 0 {
				t.Errorf("filtered event %d: taken %d times, stored %d times", seq, taken, stored[seq])
			}
		}
	}
}

// index is the number in the id of the event seq.
func (s *simulation) index(seq uint64) int {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	for _, b := range s.log.blocks {
		if b.first <= seq && seq < b.first+uint64(b.n) {
			var n int
			fmt.Sscanf(string(b.events[seq-b.first].ID), "id-%d", &n)
			return n
		}
	}
	return -1
}
