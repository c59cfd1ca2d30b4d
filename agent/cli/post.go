package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/config"
)

// poster posts batches of lines to an http input.
type poster struct {
	http  http.Client
	url   string
	token agent.Secret
	warn  func(format string, args ...any)
}

// postAnswer is what the input answers.
type postAnswer struct {
	Accepted      int        `json:"accepted"`
	Rejected      []rejected `json:"rejected"`
	RejectedCount int        `json:"rejected_count"` // if not all are listed
	FirstSeq      uint64     `json:"first_seq"`
	LastSeq       uint64     `json:"last_seq"`
	Error         string     `json:"error"`
}

// poster finds the input.
func (c *sendCommand) poster() (*poster, error) {
	p := &poster{warn: func(format string, args ...any) { fmt.Fprintf(c.std.err, "siemd: "+format+"\n", args...) }}
	if c.url != "" {
		p.url = strings.TrimSuffix(c.url, "/")
		if !strings.Contains(p.url, "://") {
			return nil, fmt.Errorf("%q is no URL: want something like http://127.0.0.1:8088", c.url)
		}
		if !strings.HasSuffix(p.url, "/v1/events") {
			p.url += "/v1/events"
		}
		if c.tokenFile != "" {
			data, err := os.ReadFile(c.tokenFile)
			if err != nil {
				return nil, exit(exitIO, err)
			}
			p.token = agent.NewSecret(strings.TrimSpace(string(data)))
		}
		return p, nil
	}
	cfg, problems := config.Load(c.conf, config.Options{})
	if cfg == nil {
		config.Print(c.std.err, problems)
		return nil, exit(exitConfig, errors.New("or say where to post with --url"))
	}
	in, err := c.find(cfg)
	if err != nil {
		return nil, err
	}
	return p, p.aim(in)
}

// find is the http input that was asked for, or the first of the config.
func (c *sendCommand) find(cfg *config.Config) (*config.Input, error) {
	x := explainer{cfg: cfg}
	if c.input != "" {
		in, err := x.input(c.input)
		if err == nil && in.Kind != "http" {
			return nil, fmt.Errorf("input %s is of type %s, and only http takes posts", in.Name, in.Kind)
		}
		return in, err
	}
	only := &config.Config{Files: cfg.Files, Inputs: map[string]*config.Input{}}
	for name, in := range cfg.Inputs {
		if in.Kind == "http" {
			only.Inputs[name] = in
		}
	}
	x.cfg = only
	in, err := x.input("")
	if in == nil && err == nil {
		return nil, exit(exitUnreachable, fmt.Errorf("%s has no input of type http; add one, or say where to post with --url", c.conf))
	}
	return in, err
}

// aim takes address, token and certificate from the input's config.
func (p *poster) aim(in *config.Input) error {
	v := reflect.ValueOf(in.Config).Elem()
	host, port, err := net.SplitHostPort(v.FieldByName("Listen").String())
	if err != nil {
		return exit(exitConfig, err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	if tokens := v.FieldByName("Tokens"); tokens.Len() > 0 {
		p.token, _ = tokens.Index(0).FieldByName("Token").Interface().(agent.Secret)
	}
	scheme := "http"
	if file := v.FieldByName("TLS").FieldByName("CertFile").String(); file != "" {
		scheme = "https"
		cert, err := ownCertificate(file)
		if err != nil {
			return exit(exitIO, err)
		}
		p.http.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12, VerifyConnection: cert}}
	}
	p.url = scheme + "://" + net.JoinHostPort(host, port) + "/v1/events"
	return nil
}

// ownCertificate checks that a server shows the very certificate in file, for
// whatever name it was made: we read it from the agent's own config.
func ownCertificate(file string) (func(tls.ConnectionState) error, error) {
	pair, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	own := x509.NewCertPool()
	if !own.AppendCertsFromPEM(pair) {
		return nil, fmt.Errorf("%s holds no certificate", file)
	}
	return func(state tls.ConnectionState) error {
		again := x509.NewCertPool()
		again.AddCert(state.PeerCertificates[0])
		leaf := state.PeerCertificates[0]
		_, err := leaf.Verify(x509.VerifyOptions{Roots: own, Intermediates: again, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		return err
	}, nil
}

const (
	postTimeout = 60 * time.Second
	postTries   = 5 // of a broken connection; a full log is waited for
)

// post sends one batch until it is stored, or refused for good.
func (p *poster) post(ctx context.Context, body []byte) (*postAnswer, error) {
	var key [16]byte
	rand.Read(key[:]) // never fails
	wait := 250 * time.Millisecond
	for try, told := 1, ""; ; try++ {
		a, again, err := p.once(ctx, body, hex.EncodeToString(key[:]))
		if err == nil {
			return a, nil
		}
		if ctx.Err() != nil {
			return nil, exit(exitFailure, ctx.Err())
		}
		if again == 0 || again > 0 && try >= postTries && !isBusy(err) {
			return nil, err
		}
		if text := err.Error(); text != told {
			told = text
			p.warn("%s; trying again", text)
		}
		wait = min(2*wait, 5*time.Second)
		select {
		case <-ctx.Done():
			return nil, exit(exitFailure, ctx.Err())
		case <-time.After(max(wait, again)):
		}
	}
}

// busyError is an agent that takes nothing at the moment.
type busyError struct{ text string }

func (e *busyError) Error() string { return e.text }

func isBusy(err error) bool {
	var b *busyError
	return errors.As(err, &b)
}

// once is one try. again says that another makes sense, and after how long; 0: none does.
func (p *poster) once(ctx context.Context, body []byte, key string) (a *postAnswer, again time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	req.Header.Set("Idempotency-Key", key)
	if !p.token.IsZero() {
		req.Header.Set("Authorization", "Bearer "+p.token.Reveal())
	}
	resp, err := p.http.Do(req)
	if err != nil {
		err = exit(exitUnreachable, fmt.Errorf("no agent answers at %s: %w", p.url, errors.Unwrap(err)))
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			return nil, 0, err // nobody listens: say so at once
		}
		return nil, time.Millisecond, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		return nil, time.Millisecond, exit(exitUnreachable, fmt.Errorf("the agent's answer broke off: %w", err))
	}
	a = &postAnswer{}
	parsed := json.Unmarshal(data, a) == nil
	switch code := resp.StatusCode; {
	case parsed && (code == http.StatusOK || code == http.StatusBadRequest && len(a.Rejected) > 0):
		return a, 0, nil
	case code == http.StatusServiceUnavailable || code == http.StatusTooManyRequests:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return nil, max(time.Duration(min(seconds, 60))*time.Second, time.Millisecond), &busyError{"the agent is busy: " + a.Error}
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return nil, 0, exit(exitPermission, fmt.Errorf("the agent answered %s: %s", resp.Status, a.Error))
	}
	return nil, 0, exit(exitFailure, fmt.Errorf("the agent answered %s: %s", resp.Status, visible([]byte(a.Error))))
}
