package wal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
	twal "github.com/tidwall/wal"

	"github.com/adrian207/siemd/agent"
)

// Options say where the log is and how it behaves. Zero values are the defaults.
type Options struct {
	Dir     string        // the agent's data directory: wal/, state.json and lock are made in it
	MaxSize int64         // of wal/ in bytes; default 4 GiB
	MinFree agent.Portion // of the filesystem; below it the log counts as full; default: no reserve

	WhenFull     string        // "block" (default): appends wait; "drop_oldest": laggards' cursors move on
	Sync         string        // "always" (default): an acknowledged event is fsynced; "interval": it is written, and fsynced soon
	SyncInterval time.Duration // for "interval"; default 100 ms
	Compression  string        // "s2" (default), "zstd", "none"
	SegmentSize  int           // in bytes, overshot by at most one block; default 2 MiB, at most MaxSize/8

	Log     *slog.Logger
	Metrics *metrics.Set
	Now     func() time.Time

	disk     *disk         // nil: the real one
	tick     time.Duration // how often the keeper comes round; 0: a second
	fullWait time.Duration // how long nothing is tried after the disk said that it is full; 0: a second
	block    int64         // blockSize, or less in a small log
}

const (
	blockSize     = 1<<20 - 1<<12 // events gathered in one block, in bytes before compression; fills a pooled buffer
	lineLimit     = 2 << 20       // bytes that may wait in line before Append blocks
	unsyncedLimit = 4 << 20       // bytes written and not yet fsynced before the committer pauses
	warmLimit     = 3 << 20       // bytes of recent blocks kept in memory for readers that have caught up

	farMoved  = 10_000 // events that cursors pass before the state is saved ahead of its time:
	hurried   = 10     // so many times a tick at most,
	saveShare = 50     // and with no more than this part of the time for making it
)

// Log is the durable log of one agent. All its methods may be called from
// several goroutines. See the package comment for the rules that it keeps.
type Log struct {
	opts  Options
	dir   string // of the segments
	codec byte
	disk  *disk
	log   *slog.Logger
	lock  *os.File

	// Used by who has set busy, and by the committer while poison is set.
	tw    *twal.Log
	batch []*Chunk
	entry []byte // the block being built; reused
	parts []part // of its payload; reused
	table kindTable

	wakeCommitter, wakeSyncer, wakeKeeper chan struct{} // capacity 1
	movedFar                              chan struct{} // likewise; cursors did, since the state was last saved

	stop        chan struct{} // closed by Close: the keeper ends, retries end
	ended       chan struct{} // closed when the committer has ended
	synced      chan struct{} // closed when the syncer has ended
	keeperEnded chan struct{} // closed when the keeper has ended
	closeOnce   sync.Once
	closeErr    error

	damage damage
	tally  tally
	meters meters
	turns  turns

	saveMu sync.Mutex // held while the state is saved

	mu        sync.Mutex // guards all below
	closing   bool
	line      line
	keys      map[string]*markKey
	segs      []*segment // in order; the last is the tail; never empty while open
	nextBlock uint64     // to be written
	nextSeq   uint64
	durable   position // all before it is fsynced, and visible to readers
	unsynced  []*written
	dirty     int64 // bytes in unsynced
	busy      bool  // somebody builds and writes a block: the committer, or who waits for the chunk
	syncing   bool  // somebody fsyncs unsynced: the syncer, or who waits for it
	published chan struct{}
	warm      warmHead
	readers   int

	bytes int64 // in segments
	stale int   // segments removed since tidwall's log was opened

	dropped uint64 // the events before it were removed, being finished or to make room

	poison  error // set: the log must be reopened before the next write
	trouble error // why it could not be reopened, so far
	full    fullState

	writtenOff []Span
	cursors    map[string]*Cursor
	moved      uint64       // events that cursors have passed since the state was last saved
	stateCost  atomic.Int64 // how long the last one took to make, without writing it, nanoseconds
	movedSaid  bool         // the keeper knows that they are many
	marks      map[string][]byte
	saved      saved    // what is on disk in both generations of the state
	doomed     []string // segments that are no longer part of the log and wait to be removed
	fresh      bool     // the state was lost: new cursors start at the oldest event
}

// A position is a place between two blocks.
type position struct {
	block uint64 // number of the last block before it
	seq   uint64 // of the next event
}

// Open locks the directory, repairs what a crash or a disk left behind, and
// opens the log. Whatever bytes it finds, it opens; the errors are those of
// the operating system, a *LockedError, or ErrNewer.
func Open(o Options) (*Log, error) {
	l, err := newLog(o)
	if err != nil {
		return nil, err
	}
	if l.lock, err = lockDir(o.Dir); err != nil {
		return nil, err
	}
	if err := l.open(); err != nil {
		if l.tw != nil {
			l.tw.Close()
		}
		l.lock.Close()
		return nil, fmt.Errorf("open log in %s: %w", o.Dir, err)
	}
	l.registerGauges(l.opts.Metrics)
	l.lookAtSpace()
	go l.commitLoop()
	go l.syncLoop()
	go l.keep()
	return l, nil
}

func newLog(o Options) (*Log, error) {
	codec, ok := codecs[o.Compression]
	if !ok {
		return nil, &agent.KeyError{Key: "compression", Message: fmt.Sprintf("%q is unknown", o.Compression), Hint: "none, s2 or zstd"}
	}
	if o.WhenFull != "" && o.WhenFull != "block" && o.WhenFull != "drop_oldest" {
		return nil, &agent.KeyError{Key: "when_full", Message: fmt.Sprintf("%q is unknown", o.WhenFull), Hint: "block or drop_oldest"}
	}
	if o.Sync != "" && o.Sync != "always" && o.Sync != "interval" {
		return nil, &agent.KeyError{Key: "sync", Message: fmt.Sprintf("%q is unknown", o.Sync), Hint: "always or interval"}
	}
	if o.MaxSize <= 0 {
		o.MaxSize = 4 << 30
	}
	if o.SegmentSize <= 0 {
		o.SegmentSize = 2 << 20
	}
	o.SegmentSize = max(min(o.SegmentSize, int(o.MaxSize/8)), 4<<10)
	o.block = min(blockSize, o.MaxSize/8)
	if o.SyncInterval <= 0 {
		o.SyncInterval = 100 * time.Millisecond
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = metrics.NewSet()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.tick == 0 {
		o.tick = tick
	}
	if o.fullWait == 0 {
		o.fullWait = tick
	}
	if o.disk == nil {
		o.disk = new(disk)
	}
	if err := os.MkdirAll(walDir(o.Dir), 0o700); err != nil {
		return nil, err
	}
	return &Log{
		opts: o, dir: walDir(o.Dir), codec: codec, disk: o.disk, log: o.Log,
		wakeCommitter: make(chan struct{}, 1), wakeSyncer: make(chan struct{}, 1), wakeKeeper: make(chan struct{}, 1), movedFar: make(chan struct{}, 1),
		stop: make(chan struct{}), ended: make(chan struct{}), synced: make(chan struct{}), keeperEnded: make(chan struct{}),
		meters: newMeters(o.Metrics), keys: map[string]*markKey{}, cursors: map[string]*Cursor{}, marks: map[string][]byte{},
	}, nil
}

// Close refuses new chunks, writes those in line, saves the state and unlocks
// the directory. Chunks that cannot be written fail with agent.ErrClosed.
func (l *Log) Close() error {
	l.closeOnce.Do(func() { l.closeErr = l.close() })
	return l.closeErr
}

func (l *Log) close() error {
	l.mu.Lock()
	l.closing = true
	l.mu.Unlock()
	close(l.stop)
	wake(l.wakeCommitter)
	<-l.ended
	wake(l.wakeSyncer)
	<-l.synced
	<-l.keeperEnded
	var errs []error
	l.mu.Lock()
	if l.poison != nil {
		errs = append(errs, l.poison)
	}
	l.failAllLocked(agent.ErrClosed)
	l.announceLocked()
	l.warm.drop()
	for _, s := range l.segs {
		s.closeSync()
	}
	l.mu.Unlock()
	errs = append(errs, l.saveState())
	if l.tw != nil {
		errs = append(errs, l.tw.Close())
	}
	errs = append(errs, l.lock.Close())
	return errors.Join(errs...)
}

// Head is the sequence number that follows the last durable event.
func (l *Log) Head() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.durable.seq
}

// Ready is nil while events are taken and made durable. Else it says why not:
// an error that wraps agent.ErrFull, agent.ErrClosed, or what the disk says.
func (l *Log) Ready() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closing:
		return agent.ErrClosed
	case l.trouble != nil:
		return fmt.Errorf("the log cannot be written: %w", l.trouble)
	case l.poison != nil:
		return fmt.Errorf("the log is being reopened: %w", l.poison)
	}
	return l.full.err
}

// Mark is the position of the last durable mark for key. It also tells the
// log that its input starts again from there, after a failed commit.
func (l *Log) Mark(key string) ([]byte, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k := l.keys[key]; k != nil {
		k.failed = false
	}
	pos, ok := l.marks[key]
	return pos, ok
}

// wake makes the goroutine that waits on c look again.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// waitDone reports what a caller whose context ended is told.
func (l *Log) timeoutLocked(ctx context.Context) error {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ctx.Err()
	}
	switch {
	case l.trouble != nil:
		return fmt.Errorf("%w: %w", agent.ErrFull, l.trouble)
	case l.full.err != nil:
		return l.full.err
	}
	return agent.ErrFull
}
