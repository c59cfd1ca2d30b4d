package intake

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/wal"
)

// Options of a Sink.
type Options struct {
	Common  Common
	Env     agent.Env // of the input
	Log     *wal.Log
	Refused *Refused
	Marks   string           // before the keys of its marks; "": the input's name
	Now     func() time.Time // nil: time.Now
}

// A Sink is the log as one input sees it: see agent.Sink.
type Sink struct {
	o        Options
	prefix   string // of mark keys
	preparer sync.Pool

	events, bytes                      *metrics.Counter
	repairedText, repairedDuplicate    *metrics.Counter
	timeNoZone, timeMissing, timeWrong *metrics.Counter
	refused                            map[string]*metrics.Counter // for the known reasons
	again                              again
}

// Reasons are the reasons for which a line is refused.
var Reasons = []string{agent.ReasonNotJSON, agent.ReasonNotObject, agent.ReasonTooLong, agent.ReasonTooDeep, agent.ReasonTooManyKeys}

// New makes the sink of an input.
func New(o Options) *Sink {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Sink{
		o: o, prefix: cmp.Or(o.Marks, o.Env.Name) + "/",
		events: o.Env.Counter("events_total"), bytes: o.Env.Counter("bytes_total"),
		repairedText:      o.Env.Counter("repaired_total", "reason", "utf8"),
		repairedDuplicate: o.Env.Counter("repaired_total", "reason", "duplicate_key"),
		timeNoZone:        o.Env.Counter("time_total", "reason", "no_zone"),
		timeMissing:       o.Env.Counter("time_total", "reason", "missing"),
		timeWrong:         o.Env.Counter("time_total", "reason", "unreadable"),
		refused:           map[string]*metrics.Counter{},
	}
	for _, r := range Reasons {
		s.refused[r] = o.Env.Counter("refused_total", "reason", r)
	}
	s.preparer.New = func() any {
		return &Preparer{Input: o.Env.Name, Common: o.Common, Identity: o.Env.Identity, MaxSize: min(DefaultMaxSize, o.Log.LargestEvent())}
	}
	return s
}

// Emit is Submit and Wait.
func (s *Sink) Emit(ctx context.Context, b agent.Batch) (agent.Receipt, error) {
	t, err := s.Submit(ctx, b)
	if err != nil {
		return agent.Receipt{}, err
	}
	return t.Wait(ctx)
}

// Submit makes events of b's lines, keeps what it refuses on disk, and puts the
// events in line for the log. Refused lines are durable before the mark that
// passes them can be. If the log then does not take the batch, they are
// remembered, so that a second try does not keep them twice.
func (s *Sink) Submit(ctx context.Context, b agent.Batch) (agent.Ticket, error) {
	p := s.preparer.Get().(*Preparer)
	chunk := s.o.Log.NewChunk()
	t := &ticket{sink: s}
	refusals := s.fill(chunk, p, &b, &t.counts)
	p.recycle()
	s.preparer.Put(p)
	if len(refusals)+len(b.Refused) > 0 {
		var err error
		if t.kept, err = s.keep(&b, refusals); err != nil {
			return nil, err
		}
	}
	for i := range refusals {
		refusals[i].Text = nil
	}
	t.refused = refusals
	t.accepted = chunk.Len()
	if chunk.Len() == 0 && b.Mark == nil {
		return t, nil
	}
	if b.Mark != nil {
		chunk.Mark(agent.Mark{Key: s.prefix + b.Mark.Key, Pos: b.Mark.Pos})
	}
	if b.Targets != nil {
		chunk.Target(b.Targets)
	}
	chunk.Since(b.Since)
	var err error
	if t.commit, err = s.o.Log.Append(ctx, chunk); err != nil {
		s.again.remember(t.kept)
		return nil, full(ctx, err)
	}
	return t, nil
}

// keep stores and counts the refused lines of a batch, but for those that an
// earlier try has kept.
func (s *Sink) keep(b *agent.Batch, refusals []agent.Refusal) (kept []digest, err error) {
	all := append(refusals[:len(refusals):len(refusals)], b.Refused...)
	fresh := make([]agent.Refusal, 0, len(all))
	for i := range all {
		d := digestOf(&all[i])
		kept = append(kept, d)
		if !s.again.forget(d) {
			fresh = append(fresh, all[i])
		}
	}
	if err := s.o.Refused.Add(s.o.Env.Name, b.File, fresh, s.o.Now()); err != nil {
		return nil, err
	}
	for i := range fresh {
		s.countRefused(fresh[i].Reason)
	}
	return kept, nil
}

// full gives a deadline that passed while the log was full its name.
func full(ctx context.Context, err error) error {
	if errors.Is(err, context.DeadlineExceeded) && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errors.Join(agent.ErrFull, err)
	}
	return err
}

// counts are a batch's, added to the metrics when it is durable.
type counts struct {
	bytes, text, duplicate  int
	noZone, missing, unread int
}

// fill adds the events of b's lines to chunk. The refusals' texts are parts of the lines.
func (s *Sink) fill(chunk *wal.Chunk, p *Preparer, b *agent.Batch, c *counts) (refusals []agent.Refusal) {
	now := s.o.Now().UnixNano()
	var e agent.Event
	p.Fields = b.Fields
	for i, line := range b.Lines {
		if isBlank(line) {
			continue
		}
		origin, offset := "", int64(0)
		if i < len(b.Offsets) {
			origin, offset = b.Origin, b.Offsets[i]
		}
		notes, refusal := p.Prepare(&e, line, origin, offset, now)
		if refusal != nil {
			refusal.Line, refusal.Offset = i, offset
			refusals = append(refusals, *refusal)
			continue
		}
		chunk.Add(&e)
		c.bytes += len(line)
		if notes != (Notes{}) {
			c.note(notes)
		}
	}
	return refusals
}

// isBlank reports whether there is nothing but white space.
func isBlank(line []byte) bool {
	for _, c := range line {
		if c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			return false
		}
	}
	return true
}

func (c *counts) note(n Notes) {
	if n.Text {
		c.text++
	}
	if n.Duplicate {
		c.duplicate++
	}
	switch n.Time {
	case timeNoZone:
		c.noZone++
	case timeMissing:
		c.missing++
	case timeUnreadable:
		c.unread++
	}
}

func (s *Sink) countRefused(reason string) {
	c := s.refused[reason]
	if c == nil {
		c = s.o.Env.Counter("refused_total", "reason", reason)
	}
	c.Inc()
}

// Resume is the last durable position of key.
func (s *Sink) Resume(key string) ([]byte, bool) { return s.o.Log.Mark(s.prefix + key) }

// Settled is the lowest saved cursor of all outputs.
func (s *Sink) Settled() uint64 { return s.o.Log.Settled() }

// ticket is a batch in line.
type ticket struct {
	sink     *Sink
	commit   *wal.Commit // nil if there was nothing to store
	accepted int
	refused  []agent.Refusal
	kept     []digest // of refused lines
	counts   counts
}

// Wait returns once the batch is durable.
func (t *ticket) Wait(ctx context.Context) (agent.Receipt, error) {
	r := agent.Receipt{Accepted: t.accepted, Refused: t.refused}
	if t.commit == nil {
		return r, nil
	}
	var err error
	if r.First, r.Last, err = t.commit.Wait(ctx); err != nil {
		t.sink.again.remember(t.kept)
		return agent.Receipt{}, full(ctx, err)
	}
	if t.accepted == 0 {
		r.First, r.Last = 0, 0
	}
	s, c := t.sink, t.counts
	s.events.Add(t.accepted)
	s.bytes.Add(c.bytes)
	s.repairedText.Add(c.text)
	s.repairedDuplicate.Add(c.duplicate)
	s.timeNoZone.Add(c.noZone)
	s.timeMissing.Add(c.missing)
	s.timeWrong.Add(c.unread)
	return r, nil
}
