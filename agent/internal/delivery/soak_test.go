package delivery

import (
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adrian207/siemd/agent"
)

// TestSoak is a day of traffic with outages, throttling and bad events (two
// hours without SIEMD_TORTURE): in the end every event has its state, and
// memory and goroutines are what they were after the first hour.
func TestSoak(t *testing.T) {
	hours := 2
	if os.Getenv("SIEMD_TORTURE") != "" {
		hours = 24
	}
	t.Attr("trials", strconv.Itoa(hours))
	synctest.Test(t, func(t *testing.T) {
		s := &soak{bench: newBench(t), rng: rand.New(rand.NewPCG(24, 1))}
		s.maxSz = 64 << 10 // the failed store is full within the first hour
		s.fake.set(s.answer)
		s.start()
		var heap uint64
		var routines int
		for hour := range hours {
			if hour%6 == 5 { // a restart now and then
				if err := s.stop(); err != nil {
					t.Fatal(err)
				}
				s.start()
			}
			for range time.Hour / soakStep {
				s.step()
			}
			s.settle()
			if hour == 0 {
				heap, routines = liveHeap(), runtime.NumGoroutine()
				continue
			}
			if now := liveHeap(); now > heap+heap/10+1<<20 {
				t.Errorf("after %d hours %d KiB are live, after one %d", hour+1, now>>10, heap>>10)
			}
			if now := runtime.NumGoroutine(); now > routines {
				t.Errorf("after %d hours there are %d goroutines, after one %d", hour+1, now, routines)
			}
		}
		c := s.cursor.Counts()
		if c.Total() != uint64(s.n) || c.Sent == 0 || c.Failed+c.Expired == 0 {
			t.Errorf("of %d events %+v", s.n, c)
		}
		s.end()
	})
}

const soakStep = 5 * time.Second

type soak struct {
	*bench
	rng     *rand.Rand
	n       int
	trouble error
	until   time.Time
}

// answer is called with the fake's lock held.
func (s *soak) answer(events []agent.Event) error {
	if time.Now().Before(s.until) {
		return s.trouble
	}
	return typed("bad", agent.Permanent(errSaid))(events)
}

// step puts events for a few seconds and now and then begins a trouble.
func (s *soak) step() {
	var list []agent.Event
	for range 1 + s.rng.IntN(40) {
		kind := "good"
		if s.rng.IntN(200) == 0 {
			kind = "bad"
		}
		list = append(list, event(s.n, kind))
		s.n++
	}
	s.log.put(nil, list...)
	if s.rng.IntN(200) == 0 {
		s.fake.mu.Lock()
		s.until = time.Now().Add(time.Duration(s.rng.IntN(300)) * time.Second)
		s.trouble = []error{
			errors.New("connection refused"), agent.Blocked(errors.New("401")), agent.After(7*time.Second, errors.New("429")),
		}[s.rng.IntN(3)]
		s.fake.mu.Unlock()
	}
	within(soakStep)
	s.forget()
}

// settle waits until everything is delivered.
func (s *soak) settle() {
	s.fake.mu.Lock()
	s.until = time.Time{}
	s.fake.mu.Unlock()
	for range 100 {
		if s.cursor.Seq() == s.log.Head() {
			break
		}
		within(time.Minute)
	}
	if s.cursor.Seq() != s.log.Head() {
		s.t.Fatalf("%d of %d events are not delivered", s.log.Head()-s.cursor.Seq(), s.n)
	}
	s.check()
	s.forget()
}

// forget drops what the fakes remember and the agent has no part in.
func (s *soak) forget() {
	s.log.mu.Lock()
	seq, n := s.cursor.Seq(), 0
	for n < len(s.log.blocks) && s.log.blocks[n].Last() < seq {
		n++
	}
	s.log.blocks = append([]*fakeBlock(nil), s.log.blocks[n:]...)
	s.log.mu.Unlock()
	s.cursor.mu.Lock()
	s.cursor.saved = nil
	s.cursor.mu.Unlock()
	s.fake.mu.Lock()
	clear(s.fake.taken)
	s.fake.order, s.fake.writes, s.fake.times = nil, nil, nil
	s.fake.mu.Unlock()
}

// liveHeap is what is reachable, in bytes.
func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
