package plugintest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options of a mock. The zero value is a target that takes anything from anybody.
type Options struct {
	Token    string // splunk, http: the only one taken; "" takes any
	Username string // elastic, http: with Password
	Password string
	APIKey   string // elastic: the encoded form, base64 of id:key

	Ack        bool     // splunk: the token has useACK
	Indexes    []string // splunk: those that the token may write; nil: any
	Cloud      bool     // splunk: Splunk Cloud's limit and its answer to larger bodies
	OpenSearch bool     // elastic: answers as OpenSearch does
	MaxBody    int64    // of a body, unzipped; default 100 MiB
	MaxEvent   int64    // splunk: default 5 MB

	Transport string // syslog, cef, leef: udp, tcp (default), tls

	// TLS serves TLS with a self-signed certificate for localhost (see
	// Receiver.CA), TLSConfig with that config.
	TLS       bool
	TLSConfig *tls.Config

	Light   bool           // counts events and remembers ids by their hash; looks at nothing else
	Keep    int            // how many of the latest payloads Last returns
	OnEvent func(Received) // called for each event taken, one at a time
	Fault   string         // from the start; see FaultHelp
}

// Kinds are the kinds that New knows.
func Kinds() []string { return []string{"splunk", "elastic", "syslog", "cef", "leef", "http"} }

var kindAliases = map[string]string{
	"hec": "splunk", "elasticsearch": "elastic", "opensearch": "elastic", "qradar": "leef", "arcsight": "cef",
}

// A Receiver is one mock SIEM.
type Receiver struct {
	kind    string
	opts    Options
	ledger  *ledger
	faults  faults
	backend backend
	ca      []byte

	mu     sync.Mutex // guards what follows, and opening and shutting
	addr   string
	open   bool
	closed bool
	timer  *time.Timer // ends a refusal
	held   portHolder  // the port, while nothing listens on it
}

// backend is the part of a mock that owns sockets.
type backend interface {
	// listen starts serving and returns the address.
	listen(addr string) (string, error)
	// shut stops listening, cuts what is connected, at the end of ctx at the
	// latest, and waits for its goroutines.
	shut(ctx context.Context)
}

// New makes a mock of one of Kinds or an alias such as "hec". It does not listen yet.
func New(kind string, o Options) (*Receiver, error) {
	if name := kindAliases[kind]; name != "" {
		o.OpenSearch = o.OpenSearch || kind == "opensearch"
		kind = name
	}
	if !slices.Contains(Kinds(), kind) {
		return nil, fmt.Errorf("unknown kind of receiver %q: want one of %s", kind, strings.Join(Kinds(), ", "))
	}
	if o.MaxBody == 0 {
		o.MaxBody = 100 << 20
	}
	if o.MaxEvent == 0 {
		o.MaxEvent = 5 << 20
	}
	if o.Transport == "" {
		o.Transport = "tcp"
	}
	if o.Transport == "tls" {
		o.TLS = true
	}
	if !slices.Contains([]string{"udp", "tcp", "tls"}, o.Transport) {
		return nil, fmt.Errorf("unknown transport %q: want udp, tcp or tls", o.Transport)
	}
	r := &Receiver{kind: kind, opts: o, ledger: newLedger(o)}
	r.faults.clock = time.Now
	if o.TLS && o.TLSConfig == nil {
		var err error
		if r.opts.TLSConfig, r.ca, err = selfSigned(func() bool { return r.faults.is("expired") }); err != nil {
			return nil, err
		}
	}
	switch kind {
	case "splunk":
		r.backend = newWeb(r, newHEC(r))
	case "elastic":
		r.backend = newWeb(r, newElastic(r))
	case "http":
		r.backend = newWeb(r, &plain{r: r})
	default:
		if o.Transport == "udp" {
			r.backend = &datagrams{r: r}
		} else {
			r.backend = &streams{r: r}
		}
	}
	return r, r.SetFault(o.Fault)
}

// Start listens on a host:port; ":0" and the like choose a free port.
func (r *Receiver) Start(listen string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.addr != "" || r.closed {
		return errors.New("this receiver has been started before")
	}
	addr, err := r.backend.listen(listen)
	if err != nil {
		return fmt.Errorf("listen for %s: %w", r.kind, err)
	}
	r.addr, r.open = addr, true
	return r.settleLocked()
}

// Close stops listening and ends what is under way, by force when ctx ends.
func (r *Receiver) Close(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.held.Close()
	if r.timer != nil {
		r.timer.Stop()
	}
	if r.open {
		r.open = false
		r.backend.shut(ctx)
	}
	return nil
}

// SetFault puts other faults in force: see FaultHelp. "" ends all. An invalid
// specification changes nothing.
func (r *Receiver) SetFault(spec string) error {
	list, err := parseFaults(spec, r.faults.clock())
	if err != nil {
		return err
	}
	if err := r.fits(list); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults.set(list)
	return r.settleLocked()
}

func (r *Receiver) fits(list []*fault) error {
	_, web := r.backend.(*web)
	for _, f := range list {
		switch {
		case !web && !slices.Contains(streamFaults, f.kind):
			return fmt.Errorf("%s has no answers, so that only %s fit", r.kind, strings.Join(streamFaults, ", "))
		case (f.kind == "hec" || f.kind == "noack") && r.kind != "splunk":
			return fmt.Errorf("fault %s is splunk's", f.kind)
		case f.kind == "expired" && r.ca == nil:
			return errors.New("fault expired: the receiver has no TLS of its own")
		case f.kind == "refuse" && f.left >= 0:
			return errors.New("fault refuse: the option n does not fit")
		case f.kind == "item" && r.kind == "http":
			return errors.New("fault item: the http receiver answers for whole bodies only")
		}
	}
	return nil
}

// settleLocked closes or opens the socket, as the faults in force demand.
func (r *Receiver) settleLocked() error {
	if r.addr == "" || r.closed {
		return nil
	}
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
	down, until := r.faults.down()
	if down && !until.IsZero() {
		r.timer = time.AfterFunc(time.Until(until)+time.Millisecond, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.settleLocked()
		})
	}
	switch {
	case down && r.open:
		r.open = false
		now, cancel := context.WithCancel(context.Background())
		cancel()
		r.backend.shut(now)
		r.held = holdPort(r.addr)
	case !down && !r.open:
		r.held.Close()
		if _, err := r.backend.listen(r.addr); err != nil {
			return fmt.Errorf("listen again for %s: %w", r.kind, err)
		}
		r.open = true
	}
	return nil
}

// Kind is the kind, without aliases.
func (r *Receiver) Kind() string { return r.kind }

// Addr is host:port.
func (r *Receiver) Addr() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.addr
}

// URL is what an output takes for its endpoint: a URL for HTTP targets, host:port for syslog, CEF and LEEF.
func (r *Receiver) URL() string {
	switch {
	case r.kind != "splunk" && r.kind != "elastic" && r.kind != "http":
		return r.Addr()
	case r.opts.TLSConfig != nil:
		return "https://" + r.Addr()
	}
	return "http://" + r.Addr()
}

// CA is the PEM of the certificate that Options.TLS made.
func (r *Receiver) CA() []byte { return r.ca }

// Stats are the counts so far.
func (r *Receiver) Stats() Stats {
	s := r.ledger.stats()
	s.Faults = r.faults.count()
	return s
}

// Events is the number of events taken, repeats included.
func (r *Receiver) Events() int { return int(r.ledger.events.Load()) }

// IDs are the ids taken and how often each was. With Options.Light it is empty.
func (r *Receiver) IDs() map[string]int { return r.ledger.ids() }

// Seen is how often id was taken.
func (r *Receiver) Seen(id string) int { return r.ledger.count(id) }

// Last are the latest payloads, oldest first: Options.Keep of them.
func (r *Receiver) Last() [][]byte {
	r.ledger.mu.Lock()
	defer r.ledger.mu.Unlock()
	return slices.Clone(r.ledger.last)
}

// LastMalformed is why the latest breach of the protocol was one.
func (r *Receiver) LastMalformed() string {
	r.ledger.mu.Lock()
	defer r.ledger.mu.Unlock()
	return r.ledger.reason
}

// Reset forgets all events and counts.
func (r *Receiver) Reset() { r.ledger.reset() }

// Await waits until enough of the stats is there, or ctx ends.
func (r *Receiver) Await(ctx context.Context, enough func(Stats) bool) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !enough(r.Stats()) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s has seen %+v: %w", r.kind, r.Stats(), ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}
