package http

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/idempotency"
)

func init() {
	agent.RegisterInput("http", defaults, func(c Config, env agent.Env) (agent.Input, error) { return New(c, env) })
}

// stopTime is how long Run waits for requests under way when it is told to stop.
const stopTime = 5 * time.Second

// commitTime is how long a request waits for its batch to reach the disk.
// Whoever runs into it does not know what became of the batch.
const commitTime = time.Minute

// An Input is one listener.
type Input struct {
	config Config
	env    agent.Env
	tokens tokens
	door   *door
	sink   agent.Sink // set by Run, before anything is served
	acks   *acks
	keys   *idempotency.Keys
	state  state

	inFlight atomic.Int64 // bytes of bodies
}

// New opens the listener; requests wait in it until Run. The config is valid.
func New(c Config, env agent.Env) (*Input, error) {
	config, err := c.TLS.load()
	if err != nil {
		return nil, err
	}
	listen := env.Listen
	if listen == nil {
		listen = net.Listen
	}
	ln, err := listen("tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", c.Listen, err)
	}
	in := &Input{config: c, env: env, tokens: newTokens(c), acks: newAcks()}
	in.door = newDoor(ln, c, env)
	in.door.tls = config
	in.state.log = env.Log
	env.Gauge("connections", func() float64 { return float64(in.door.count()) })
	env.Gauge("in_flight_bytes", func() float64 { return float64(in.inFlight.Load()) })
	return in, nil
}

// Addr is where it listens.
func (in *Input) Addr() net.Addr { return in.door.Addr() }

// Run serves until ctx ends. It returns when the requests under way are
// answered, or after five seconds.
func (in *Input) Run(ctx context.Context, sink agent.Sink) error {
	in.sink = sink
	in.keys = idempotency.Load(sink.Resume, in.config.IdempotencyWindow.D())
	srv := &http.Server{
		Handler:           in,
		ReadHeaderTimeout: in.config.HeaderTime.D(),
		IdleTimeout:       in.config.IdleTimeout.D(),
		MaxHeaderBytes:    int(in.config.MaxHeader),
		ConnState:         in.door.note,
		ErrorLog:          slog.NewLogLogger(in.env.Log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(in.door.serve()) }()
	var failed error
	select {
	case failed = <-served:
		served <- nil
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	in.door.hurry()
	if err := srv.Shutdown(grace); err != nil {
		in.env.Log.Warn("requests were cut off at the stop", "after", stopTime)
		srv.Close()
	}
	<-served
	if errors.Is(failed, http.ErrServerClosed) {
		return nil
	}
	return failed
}

// Close closes the listener if Run was never called.
func (in *Input) Close(context.Context) error {
	if err := in.door.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// emit puts b into the log. It gives up, with nothing taken, when there is no
// room for it within FullWait; a client that has gone is no reason to.
func (in *Input) emit(ctx context.Context, b agent.Batch) (agent.Receipt, error) {
	ctx = context.WithoutCancel(ctx)
	short, cancel := context.WithTimeout(ctx, in.config.FullWait.D())
	defer cancel()
	ticket, err := in.sink.Submit(short, b)
	if err == nil {
		long, cancel := context.WithTimeout(ctx, commitTime)
		defer cancel()
		var r agent.Receipt
		if r, err = ticket.Wait(long); err == nil {
			in.state.works()
			return r, nil
		}
	}
	if errors.Is(err, agent.ErrBatchTooLarge) {
		return agent.Receipt{}, errTooLarge // the log is not to blame
	}
	in.state.fails(err)
	return agent.Receipt{}, err
}
