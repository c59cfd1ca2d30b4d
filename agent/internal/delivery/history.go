package delivery

// maxRuns bounds what is remembered of a span.
const maxRuns = 256

// history remembers what became of the latest events, for those who ask after
// the cursor has passed.
type history struct {
	spans [256]pastSpan
	at    int
}

type pastSpan struct {
	from, to uint64
	runs     []run
	partial  bool // runs do not tell of all
}

func (h *history) add(s *span) {
	p := &h.spans[h.at]
	h.at = (h.at + 1) % len(h.spans)
	p.from, p.to, p.runs = s.from, s.to, append(p.runs[:0], s.runs[:min(len(s.runs), maxRuns)]...)
	p.partial = len(s.runs) > maxRuns
}

// find is what became of seq; false if it is too long ago.
func (h *history) find(seq uint64) (Result, bool) {
	for i := range h.spans {
		if p := &h.spans[i]; p.from <= seq && seq < p.to {
			r := resultIn(p.runs, seq)
			return r, r != Sent || !p.partial
		}
	}
	return Sent, false
}

// resultIn is the result of an event of a finished span. What is in no run was sent.
func resultIn(runs []run, seq uint64) Result {
	for _, r := range runs {
		if r.from <= seq && seq < r.to {
			return r.result
		}
	}
	return Sent
}
