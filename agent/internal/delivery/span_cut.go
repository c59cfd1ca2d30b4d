package delivery

import (
	"slices"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/wal"
)

// moveTo moves what s has from rest's beginning on into rest, which is empty.
// Nothing in s was sent yet, and it does not say where what was sent before stood.
func (s *span) moveTo(rest *span) {
	seq := rest.from
	i := slices.IndexFunc(s.events, func(e agent.Event) bool { return e.Seq >= seq })
	if i < 0 {
		i = len(s.events)
	}
	if len(s.ends) > 0 {
		at := 0
		if i > 0 {
			at = s.ends[i-1]
		}
		rest.wire = append(rest.wire, s.wire[at:]...)
		for _, end := range s.ends[i:] {
			rest.ends = append(rest.ends, end-at)
		}
		s.wire, s.ends = s.wire[:at], s.ends[:i]
		rest.size = len(rest.wire)
	} else {
		for _, e := range s.events[i:] {
			rest.size += len(e.Body)
		}
	}
	s.size -= rest.size
	rest.events = append(rest.events, s.events[i:]...)
	clear(s.events[i:])
	s.events = s.events[:i]

	k := slices.IndexFunc(s.refused, func(r refusal) bool { return r.event.Seq >= seq })
	if k < 0 {
		k = len(s.refused)
	}
	rest.refused = append(rest.refused, s.refused[k:]...)
	clear(s.refused[k:])
	s.refused = s.refused[:k]

	runs := slices.Clone(s.runs)
	s.runs, s.counts = s.runs[:0], wal.Counts{}
	for _, r := range runs {
		if r.from < seq {
			s.note(r.from, min(r.to, seq), r.result)
		}
		if r.to > seq {
			rest.note(max(r.from, seq), r.to, r.result)
		}
	}
	for _, h := range s.blocks {
		h.retain()
	}
	rest.blocks = append(rest.blocks, s.blocks...)
	rest.to, s.to = s.to, seq
	for _, e := range rest.events {
		rest.touch(e.Received)
	}
	for _, r := range rest.refused {
		rest.touch(r.event.Received)
	}
	if len(s.events)+len(s.refused) == 0 {
		s.received = 0
	}
}

// touch notes that an event that came at received is in s.
func (s *span) touch(received int64) {
	if s.received == 0 || received < s.received {
		s.received = received
	}
}
