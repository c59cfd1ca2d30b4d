package plugintest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/adrian207/siemd/agent"
)

// OutputTest says how an output is tried against a mock.
type OutputTest[P T[P]] struct {
	Kind    string  // of the mock
	Options Options // of the mock

	// Build makes the output, to send to r. It fails the test itself.
	Build func(t P, r *Receiver) agent.Output

	// Secrets are texts that no error may contain.
	Secrets []string

	// Faults maps fault specifications to the word that the error must have,
	// beside those of the kind: "none", "permanent", "suspect", "too_large",
	// "blocked", "after" or "after=2s". Several are separated by "|". "ok" is no error.
	Faults map[string]string

	// Unacknowledged: the protocol has no answers, so that a Write may succeed although nothing arrives.
	Unacknowledged bool
}

// httpFaults are what every output over HTTP makes of an answer.
var httpFaults = map[string]string{
	"503":                 "none|after",
	"502":                 "none|after",
	"504":                 "none|after",
	"408":                 "none|after",
	"429:retry_after=2":   "after=2s",
	"503:retry_after=3":   "after=3s",
	"500":                 "none|suspect",
	"401":                 "blocked",
	"403":                 "blocked",
	"404":                 "blocked",
	"302":                 "blocked|none",
	"413":                 "too_large",
	"reset_before":        "none",
	"reset_after":         "none",
	"refuse":              "none",
	"short":               "none",
	"slow=1ms":            "ok",
	"429:retry_after=-1":  "none|after",
	"429:retry_after=1e9": "none|after",
}

// RunOutput holds an output to the contract.
func RunOutput[P T[P]](t P, test OutputTest[P]) {
	t.Helper()
	t.Run("delivers", func(t P) { test.delivers(t) })
	t.Run("concurrent", func(t P) { test.concurrent(t) })
	t.Run("encode", func(t P) { test.encode(t) })
	t.Run("deadline", func(t P) { test.deadline(t) })
	faults := map[string]string{}
	if !test.Unacknowledged {
		for spec, want := range httpFaults {
			faults[spec] = want
		}
	}
	for spec, want := range test.Faults {
		faults[spec] = want
	}
	for spec, want := range faults {
		if want != "" {
			t.Run(spec, func(t P) { test.fault(t, spec, want) })
		}
	}
}

func (test OutputTest[P]) start(t P) (*Receiver, agent.Output) {
	t.Helper()
	r, err := New(test.Kind, test.Options)
	if err != nil {
		t.Fatalf("%v", err)
	}
	if err := r.Start("127.0.0.1:0"); err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		now, cancel := context.WithCancel(context.Background())
		cancel()
		r.Close(now)
	})
	out := test.Build(t, r)
	t.Cleanup(func() {
		if c, ok := out.(agent.Closer); ok {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			c.Close(ctx)
		}
	})
	return r, out
}

// write does what a runner does: it encodes first, and afterwards the events'
// memory belongs to others. Under the race detector a late look at it fails.
func write(ctx context.Context, out agent.Output, events []agent.Event) error {
	mine := make([]agent.Event, len(events))
	for i, e := range events {
		e.Body, e.ID, e.Type, e.Source = bytes.Clone(e.Body), bytes.Clone(e.ID), bytes.Clone(e.Type), bytes.Clone(e.Source)
		if enc, ok := out.(agent.Encoder); ok {
			wire, err := enc.Encode(nil, &e)
			if err != nil {
				return fmt.Errorf("encode %s: %w", e.ID, err)
			}
			e.Wire = wire
		}
		mine[i] = e
	}
	err := out.Write(ctx, mine)
	for _, e := range mine {
		for _, b := range [][]byte{e.Body, e.ID, e.Type, e.Source, e.Wire} {
			for i := range b {
				b[i] = '#'
			}
		}
	}
	return err
}

func (test OutputTest[P]) delivers(t P) {
	r, out := test.start(t)
	events := Events(1, 70)
	if err := write(t.Context(), out, events); err != nil {
		t.Fatalf("Write: %v", err)
	}
	test.arrived(t, r, events)
	if s := r.Stats(); s.Malformed > 0 {
		t.Errorf("%d breaches of the protocol, the last: %s", s.Malformed, r.LastMalformed())
	}
}

// arrived waits for the events and checks that each came once.
func (test OutputTest[P]) arrived(t P, r *Receiver, events []agent.Event) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := r.Await(ctx, func(s Stats) bool { return s.Distinct >= int64(len(events)) }); err != nil {
		t.Fatalf("%v; last breach of the protocol: %s", err, r.LastMalformed())
	}
	for _, e := range events {
		if n := r.Seen(string(e.ID)); n != 1 {
			t.Errorf("event %s arrived %d times", e.ID, n)
		}
	}
}

func (test OutputTest[P]) concurrent(t P) {
	r, out := test.start(t)
	var all []agent.Event
	var wg sync.WaitGroup
	for seed := range uint64(8) {
		events := Events(100+seed, 20+rand.IntN(50))
		all = append(all, events...)
		wg.Go(func() {
			if err := write(t.Context(), out, events); err != nil {
				t.Errorf("Write: %v", err)
			}
		})
	}
	wg.Wait()
	test.arrived(t, r, all)
}

func (test OutputTest[P]) encode(t P) {
	_, out := test.start(t)
	enc, ok := out.(agent.Encoder)
	if !ok {
		return
	}
	for _, e := range Events(2, 21) {
		before := string(e.Body)
		first, err := enc.Encode([]byte("kept"), &e)
		if err != nil {
			t.Fatalf("Encode: %v", err)
		}
		second, err := enc.Encode(nil, &e)
		if err != nil || string(first) != "kept"+string(second) {
			t.Errorf("Encode does not append the same again: %q and %q, %v", first, second, err)
		}
		if string(e.Body) != before {
			t.Errorf("Encode wrote to the event")
		}
	}
}

// deadline: a target that never answers does not hold Write longer than its context.
func (test OutputTest[P]) deadline(t P) {
	r, out := test.start(t)
	if err := r.SetFault("hang"); err != nil {
		t.Fatalf("%v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	begun := time.Now()
	err := write(ctx, out, Events(3, 10))
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("Write returned %v after its deadline", took)
	}
	if err == nil && !test.Unacknowledged {
		t.Errorf("Write says that all is well although nobody answered")
	}
	if err != nil && Word(err) != "none" {
		t.Errorf("a deadline is no verdict, but the error says %s: %v", Word(err), err)
	}
}

func (test OutputTest[P]) fault(t P, spec, want string) {
	r, out := test.start(t)
	if err := r.SetFault(spec); err != nil {
		t.Fatalf("%v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err := write(ctx, out, Events(4, 3))
	got := Word(err)
	if !wordFits(got, want) {
		t.Errorf("the error says %s, want %s: %v", got, want, err)
	}
	for _, secret := range test.Secrets {
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("the error holds a secret: %v", err)
		}
	}
	// After the fault the same output must work again, without anybody's help.
	if err := r.SetFault(""); err != nil {
		t.Fatalf("%v", err)
	}
	again, cancel := context.WithTimeout(context.Background(), time.Minute) // its own time: the fault may have used up the other
	defer cancel()
	var last error
	for range 3 {
		if last = write(again, out, Events(5, 3)); last == nil {
			break
		}
	}
	if last != nil {
		t.Errorf("the fault is over, and Write still fails: %v", last)
	}
}
