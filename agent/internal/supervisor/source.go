package supervisor

import (
	"context"

	"github.com/adrian207/siemd/agent/internal/delivery"
	"github.com/adrian207/siemd/agent/internal/wal"
)

// source is the log as one output's runner wants to see it.
type source struct {
	log    *wal.Log
	cursor *wal.Cursor
}

func (s source) Head() uint64         { return s.log.Head() }
func (s source) ForeignAhead() uint64 { return s.log.ForeignAhead(s.cursor) }

func (s source) Reader() delivery.Reader { return reader{s.log.Reader(s.cursor)} }

type reader struct{ *wal.Reader }

func (r reader) Next(ctx context.Context) (delivery.Block, error) {
	b, err := r.Reader.Next(ctx)
	if err != nil {
		return nil, err // not a nil *wal.Block in an interface
	}
	return b, nil
}
