package tail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/adrian207/siemd/agent"
)

// A run is one Run of a Tail. All of it belongs to the goroutine that called
// Run, but for the hand-over, the hints and the pipes, which have their own.
type run struct {
	t        *Tail
	sink     agent.Sink
	log      *slog.Logger
	meters   *meters
	hand     handover
	hints    hints
	pipes    pipes
	asked    chan chan []agent.FileStatus
	ended    chan struct{}
	dispose  sync.WaitGroup // files being archived
	disposed chan disposal
	first    bool // nothing was ever read by this input
	started  bool // the first scan is over

	files   map[identity]*file // alive and gone
	byPath  map[string]*file   // alive, by present name
	kin     families           // alive and gone
	queue   []*file            // have something to read, in turn
	open    []*file            // hold a descriptor
	streams int                // decoders open

	// Small sets of files that need a look at every tick.
	draining map[*file]bool // lost
	pending  map[*file]bool // waiting for a decision, for quiet or after trouble
	moving   map[*file]bool // renamed, not yet finished
	suspects map[*file]suspicion
	unsought map[*file]bool // copies of which the next scan looks for

	departures map[string]*departure // by name
	settled    []*file               // of departures that have ended since the catalog was last written

	dirty     map[int]bool        // shards of the catalog to write
	refusals  map[string]bool     // paths whose refusal was logged
	lists     map[string]*listing // directories read in this scan
	strangers map[identity]stranger
	outbox    []*job // in the order in which they are to be submitted
	inFlight  int    // jobs given to hand and not back
	failing   error  // a job failed: why; nothing is read until all are back
	failures  int    // in a row
	resumeAt  time.Time
	pause     time.Duration // before resumeAt; so long without a failure ends the trouble

	scanWanted bool
	scans      int          // so far
	looks      atomic.Int64 // scans that are over; for others than the run's goroutine, too
	looking    time.Time    // when the look began in which files are found now
	scanned    time.Time    // end of the last scan
	scanTook   time.Duration
	ticked     time.Time
	firstSeq   uint64 // the first number that came back in this run
}

func newRun(t *Tail, sink agent.Sink) *run {
	r := &run{
		t: t, sink: sink, log: t.env.Log,
		asked: make(chan chan []agent.FileStatus), ended: make(chan struct{}), disposed: make(chan disposal),
		files: map[identity]*file{}, byPath: map[string]*file{}, kin: families{byStem: map[string]*family{}, byInode: map[inode][]*file{}},
		draining: map[*file]bool{}, pending: map[*file]bool{}, moving: map[*file]bool{}, suspects: map[*file]suspicion{}, unsought: map[*file]bool{},
		departures: map[string]*departure{},
		dirty:      map[int]bool{}, refusals: map[string]bool{}, strangers: map[identity]stranger{}, scanWanted: true,
	}
	r.hints.log = r.log
	return r
}

func (r *run) run(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	r.meters = newMeters(r.t.env)
	r.load()
	r.hand.start(ctx, r.sink)
	r.hints.start(ctx, r.t.timing.pace, r.t.timing.noNotify)
	r.pipes.start(ctx, r)
	defer func() {
		cancel()
		close(r.ended)
		r.hints.close()
		r.hand.close()
		r.dispose.Wait()
		if pipeErr := r.pipes.close(); err == nil {
			err = pipeErr
		}
		r.settleSuspicions()
		for _, f := range r.files {
			f.close()
		}
		r.meters.close()
	}()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		now := time.Now()
		if r.failing != nil && r.inFlight == 0 {
			if errors.Is(r.failing, agent.ErrClosed) {
				return fmt.Errorf("hand over lines: %w", r.failing)
			}
			r.rewind(now)
		}
		if r.scanWanted && now.Sub(r.scanned) >= min(10*r.scanTook, time.Second) || now.Sub(r.scanned) >= r.scanEvery() {
			r.scan(now)
		}
		if now.Sub(r.ticked) >= r.t.timing.tick {
			r.tick(now)
		}
		timer.Reset(r.sleep(now))

		var jobs chan<- *job
		var next *job
		if len(r.outbox) > 0 && r.failing == nil {
			jobs, next = r.hand.jobs, r.outbox[0]
		}
		var free <-chan *buffer
		if len(r.queue) > 0 && r.failing == nil && !now.Before(r.resumeAt) {
			free = r.hand.free
		}
		select {
		case <-ctx.Done():
			return nil
		case jobs <- next:
			r.outbox = r.outbox[1:]
			r.inFlight++
		case j := <-r.hand.acks:
			r.acked(j)
		case b := <-free:
			r.turn(b)
		case <-r.hints.ready:
			r.hinted()
		case d := <-r.disposed:
			r.removed(d)
		case answer := <-r.asked:
			answer <- r.statuses()
		case err := <-r.pipes.broken:
			return err
		case <-timer.C:
		}
	}
}

// scanEvery is the interval of looks at everything. Without notifications
// they are all there is.
func (r *run) scanEvery() time.Duration {
	if r.hints.complete() {
		return r.t.timing.scan
	}
	return max(r.t.timing.poll, 20*r.scanTook)
}

// sleep is how long there is nothing to do unless something happens.
func (r *run) sleep(now time.Time) time.Duration {
	d := r.scanEvery() - now.Sub(r.scanned)
	if r.scanWanted {
		d = min(d, min(10*r.scanTook, time.Second)-now.Sub(r.scanned))
	}
	if len(r.draining)+len(r.pending)+len(r.moving)+len(r.suspects) > 0 || r.meters.stale || r.t.config.OnDone != "keep" {
		d = min(d, r.t.timing.tick-now.Sub(r.ticked))
	}
	if len(r.queue) > 0 && now.Before(r.resumeAt) {
		d = min(d, r.resumeAt.Sub(now))
	}
	return max(d, time.Millisecond)
}

// observe notes what a look at f has shown and gives it a turn if it changed.
func (r *run) observe(f *file, i info) {
	f.links = i.links
	if i.size == f.size && i.mtime == f.mtime {
		return
	}
	if f.found.IsZero() {
		f.found = time.Now()
		f.changed = sinceWall(i.mtime)
	} else {
		f.changed = time.Now()
	}
	f.size, f.mtime = i.size, i.mtime
	f.peak = max(f.peak, i.size)
	f.atEnd = false
	if f.compressed() {
		r.closeStream(f)
	}
	r.enqueue(f)
	// Opened at once, so that it can be read even if it is deleted before its turn comes.
	if f.size > 0 && f.fd == nil && f.gone == 0 && r.byPath[f.path] == f && len(r.open) < r.t.timing.open {
		r.ensureOpen(f)
	}
}

// sinceWall is the moment of a file's time stamp, or now if that lies in the future.
func sinceWall(ns int64) time.Time {
	now := time.Now()
	return now.Add(-max(0, now.Sub(time.Unix(0, ns))))
}

func (r *run) enqueue(f *file) {
	if !f.queued && f.gone == 0 {
		f.queued = true
		r.queue = append(r.queue, f)
	}
}

// turn lets the next file in the queue fill b.
func (r *run) turn(b *buffer) {
	f := r.queue[0]
	r.queue = r.queue[1:]
	f.queued = false
	if f.gone != 0 {
		r.hand.release(b)
		return
	}
	r.meters.stale = true
	if !r.serve(f, b) {
		r.hand.release(b)
	}
	if f.compressed() && !f.queued {
		r.closeStream(f)
	}
}

// tick looks at the files that wait for time to pass.
func (r *run) tick(now time.Time) {
	r.ticked = now
	for f := range r.draining {
		r.drain(f, now)
	}
	for f := range r.moving {
		r.finishMoved(f, now)
	}
	for f := range r.pending {
		delete(r.pending, f)
		r.enqueue(f)
	}
	for f, s := range r.suspects {
		if !now.Before(s.until) {
			delete(r.suspects, f)
			r.suspectLoss(f, s.why)
		}
	}
	if r.t.config.OnDone != "keep" && r.failing == nil {
		for _, f := range r.files {
			r.disposeIfDone(f, now)
		}
	}
	r.meters.update(r, now)
}
