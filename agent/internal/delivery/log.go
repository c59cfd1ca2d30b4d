package delivery

import (
	"context"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/wal"
)

// A Cursor is an output's place in the log, as the log keeps it.
type Cursor interface {
	Name() string
	Seq() uint64    // the next event that is not finished
	Resume() uint64 // is Seq for a Runner that begins: what it tells Advance begins there
	Start() uint64  // where the cursor began
	Counts() wal.Counts

	// Advance moves the cursor to seq; delta adds up to the number of events
	// passed since the last Advance. Where the log moved the cursor on by
	// itself (when_full: drop_oldest) delta is right and the log corrects its
	// own count. It is called by one goroutine at a time.
	Advance(seq uint64, delta wal.Counts)

	// Adjust moves failed events to another count.
	Adjust(change wal.Change)
}

// Result is what became of an event.
type Result uint8

// The results. Pending is the only one that changes by itself; Failed can
// become Sent or Expired later.
const (
	Pending Result = iota
	Sent
	Failed
	Filtered
	Expired
	Foreign
)

var resultNames = [...]string{"pending", "sent", "failed", "filtered", "expired", "foreign"}

func (r Result) String() string { return resultNames[r] }

// A Source is the log as one output reads it.
type Source interface {
	// Head is the next sequence number that the log will give.
	Head() uint64
	// ForeignAhead counts the events before Head and after the cursor that are for other outputs.
	ForeignAhead() uint64
	// Reader begins at the cursor. The runner closes it.
	Reader() Reader
}

// A Reader gives the durable blocks of the log in order.
type Reader interface {
	// Next waits for a block that holds events at or after the reader's
	// place. The error is agent.ErrClosed when the log closes, or that of ctx.
	Next(ctx context.Context) (Block, error)
	Close()
}

// A Block is a run of events with consecutive sequence numbers. It comes
// retained once.
type Block interface {
	First() uint64
	Last() uint64
	Size() int         // bytes of memory that it holds
	Targets() []string // the only outputs it is for; nil: all
	Since() int64      // when its oldest event can have come about, UTC nanoseconds; 0: nobody knows
	Lost() bool        // its events were damaged and cannot be read
	// Has reports whether there may be an event for which f is true, without decoding any.
	Has(f func(typ []byte, sev agent.Severity) bool) bool
	// Each calls visit for the events, in order. An event is valid until visit
	// returns, its bytes until the last Release.
	Each(visit func(*agent.Event)) error
	Release()
}

// FromLog is the log as the output of cursor c reads it.
func FromLog(l *wal.Log, c *wal.Cursor) Source { return logSource{l, c} }

type logSource struct {
	*wal.Log
	cursor *wal.Cursor
}

func (s logSource) ForeignAhead() uint64 { return s.Log.ForeignAhead(s.cursor) }
func (s logSource) Reader() Reader       { return logReader{s.Log.Reader(s.cursor)} }

type logReader struct{ *wal.Reader }

func (r logReader) Next(ctx context.Context) (Block, error) {
	b, err := r.Reader.Next(ctx)
	if err != nil {
		return nil, err // not a nil *wal.Block in an interface
	}
	return b, nil
}
