// Package api serves siemd's HTTP interface: liveness, readiness, metrics and
// the REST API, on the addresses of api.listen and on the socket in data_dir.
// It is a view of the supervisor and keeps no books of its own.
package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/adrian207/siemd/agent/idempotency"
	"github.com/adrian207/siemd/agent/internal/config"
	"github.com/adrian207/siemd/agent/internal/history"
	"github.com/adrian207/siemd/agent/internal/supervisor"
)

// SocketName is the socket below data_dir over which commands reach the agent.
const SocketName = "siemd.sock"

// Server is the HTTP interface of one agent.
type Server struct {
	agent     *supervisor.Agent
	log       *slog.Logger
	own       string // the agent's own token
	known     atomic.Pointer[tokens]
	failures  failures          // wrong tokens, by address
	overreach failures          // requests beyond a scope, by caller
	keys      *idempotency.Keys // of exports
	editing   sync.Mutex        // held while a connection is changed by its fields
	taps      atomic.Int64      // that watch now
	history   history.Recorder
	now       func() time.Time
	reading   time.Duration // for an answer, or a part of one, to be read
	patience  time.Duration // for a body to come
	document  func() schema // of OpenAPI
	servers   []*http.Server
	open      []listening
}

// Listen binds every address of cfg and the socket. What can fail about the
// API fails here.
func Listen(cfg *config.Config, a *supervisor.Agent, log *slog.Logger) (*Server, error) {
	s := &Server{agent: a, log: log, now: time.Now, patience: 30 * time.Second, reading: 30 * time.Second, document: sync.OnceValue(openAPI)}
	s.keys = idempotency.Load(a.Resume, keyWindow)
	var err error
	if s.own, err = ownToken(filepath.Join(cfg.DataDir, TokenName)); err != nil {
		return nil, err
	}
	if err := s.bind(cfg); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Server) bind(cfg *config.Config) error {
	sock, err := listenUnix(filepath.Join(cfg.DataDir, SocketName), "")
	if err != nil {
		return err
	}
	s.open = append(s.open, sock)
	for _, addr := range cfg.API.Listen {
		if path, ok := strings.CutPrefix(addr, "unix:"); ok {
			ln, err := listenUnix(path, cfg.API.SocketGroup)
			if err != nil {
				return err
			}
			s.log.Info("api listens", "address", addr, "auth", "peer credentials")
			s.open = append(s.open, ln)
			continue
		}
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			if addr == config.DefaultListen && cfg.API.ListenIsDefault {
				s.log.Warn("the default API address is taken, only the socket serves", "address", addr, "err", err)
				continue
			}
			return fmt.Errorf("api.listen: %w", err)
		}
		local := ln.Addr().(*net.TCPAddr).IP.IsLoopback()
		ln = limit(ln, mostConns())
		auth := "tokens"
		if cfg.API.TLS.CertFile != "" {
			c, err := s.serverTLS(cfg)
			if err != nil {
				ln.Close()
				return err
			}
			if cfg.API.TLS.ClientCAFile != "" {
				auth = "tokens and client certificates"
			}
			ln = tls.NewListener(ln, c)
		}
		s.log.Info("api listens", "address", addr, "tls", cfg.API.TLS.CertFile != "", "auth", auth)
		s.open = append(s.open, listening{Listener: ln, local: local})
	}
	return nil
}

// Run serves until ctx ends, then answers what is under way for at most a second.
func (s *Server) Run(ctx context.Context) error {
	requests, endRequests := context.WithCancel(context.WithoutCancel(ctx))
	defer endRequests()
	var wg sync.WaitGroup
	for _, ln := range s.open {
		srv := &http.Server{
			Handler:           s.handler(ln),
			ConnContext:       withPeer,
			BaseContext:       func(net.Listener) context.Context { return requests },
			ReadHeaderTimeout: 5 * time.Second,
			// No ReadTimeout: it would end requests that wait for long. Bodies have a time of their own.
			IdleTimeout:    60 * time.Second,
			MaxHeaderBytes: 16 << 10,
			// OPTIONS * is answered like any other path that is not there.
			DisableGeneralOptionsHandler: true,
			ErrorLog:                     slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		}
		s.servers = append(s.servers, srv)
		wg.Go(func() {
			if err := srv.Serve(ln); err != nil && !errors.Is(err, http.ErrServerClosed) {
				s.log.Error("api stopped serving", "address", ln.Addr().String(), "err", err)
			}
		})
	}
	wg.Go(func() { s.record(ctx) })
	<-ctx.Done()
	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	stop := context.AfterFunc(bye, endRequests)
	defer stop()
	for _, srv := range s.servers {
		if err := srv.Shutdown(bye); err != nil {
			srv.Close()
		}
	}
	wg.Wait()
	return nil
}

// Close frees the addresses of a server that is not going to run.
func (s *Server) Close() {
	for _, ln := range s.open {
		ln.Close()
	}
}
