package agent

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"

	"github.com/VictoriaMetrics/metrics"
)

// An Input brings events to the log.
type Input interface {
	// Run reads until ctx ends or its source is exhausted (nil) or broken (an
	// error). It is called once for each built input. It does not retry: the
	// supervisor builds and runs a successor, with backoff.
	Run(ctx context.Context, sink Sink) error
}

// An Heir is an Input that takes over what its predecessor has read and could not
// store, where a source cannot be read again.
type Heir interface {
	// Inherit is called before Run, when the Run of the predecessor, which has the
	// same type and name, has returned with ErrExchanged as its context's cause.
	Inherit(predecessor Input)
}

// Sink is the log as an input sees it. It may be used from several goroutines.
type Sink interface {
	// Emit returns nil once b is on disk; only then may the input acknowledge
	// its source. It blocks while the log is full, until ctx ends or, if ctx
	// has a deadline, until that: then the error is ErrFull. What the log can never
	// take is ErrBatchTooLarge. The receipt names the lines that were refused,
	// which are kept as durably as the events.
	Emit(ctx context.Context, b Batch) (Receipt, error)

	// Submit is the first half of Emit: it puts b in line, in the order of
	// the calls, and the caller may reuse b's buffers when it returns. Wait is
	// the second half. A source that can read ahead keeps a few in flight; if
	// one of them fails, those behind it may have been stored, so an input
	// with marks then resumes from Resume.
	// If ctx ends while the log is full, b may be sent away: Wait then returns ErrFull.
	Submit(ctx context.Context, b Batch) (Ticket, error)

	// Resume is the position of the last durable Mark for key.
	Resume(key string) (pos []byte, ok bool)

	// Settled is the sequence number below which every output is finished
	// with every event, as saved on disk.
	Settled() uint64
}

// A Ticket is a batch on its way to the disk.
type Ticket interface {
	// Wait returns what Emit returns. It may be called once, and should be soon:
	// if the log has nothing else to do, it is the caller who writes the batch,
	// or else that waits up to a second.
	Wait(ctx context.Context) (Receipt, error)
}

// An Output takes events to one SIEM.
type Output interface {
	// Write delivers events or says which it could not: see the error words in
	// errors.go. Up to concurrency Writes run at once. The context carries the
	// output's timeout. Events and their bytes are the caller's.
	Write(ctx context.Context, events []Event) error
}

// An Encoder is an Output that renders events one by one. The runner then
// encodes each event once, when it forms a batch, so that a batch's size is
// known in bytes; Write finds the result in Event.Wire and sends the
// concatenation. A codec is an Encoder too.
type Encoder interface {
	// Encode appends the wire form of e to dst. An error means that this
	// event can never be sent: it goes to the failed store with the error as reason.
	Encode(dst []byte, e *Event) ([]byte, error)
}

// A Serial is an Output that may be able to do only one thing at a time, such as
// one with a single pipe. While OneAtATime says so no Write begins before the
// one before it has returned, whatever concurrency is: a batch that waited for
// its turn would have less than its timeout for itself.
type Serial interface {
	OneAtATime() bool
}

// A Prober is an Output that can check its way to the SIEM without sending
// events. Each step (DNS, TCP, TLS, auth, permission) is reported as it ends.
type Prober interface {
	Probe(ctx context.Context, report func(Step)) error
}

// A Setupper is an Output that can prepare its target, as with an index
// template. It is called only when a person asks, and may be repeated.
type Setupper interface {
	Setup(ctx context.Context, report func(Step)) error
}

// A Step is one check of a probe: what was tried, how it went and how to mend it.
type Step struct {
	Name   string // "dns", "tcp", "tls", "auth", "permission", "event"
	Detail string // what was found
	Err    error  // nil if it went well
	Fix    string // what to do, if Err is not nil
}

// A Closer is an input or output that holds something between calls. Close is
// called once, after the last Run or Write has returned, with a context that
// bounds a clean goodbye.
type Closer interface {
	Close(ctx context.Context) error
}

// Env is all that a component gets from its host. Building a component may do
// I/O only through it, so that a reload can fail without a trace.
type Env struct {
	Name     string // the component's name in the config
	Kind     string // "input" or "output"
	Version  string // of siemd
	Identity Identity
	DataDir  string // the agent's, for the few that keep files; they write below a folder of their own name
	Log      *slog.Logger
	Metrics  *metrics.Set

	// Listen opens a listening socket that outlives a reload of its user: a
	// successor with the same address gets the same socket. Nil means net.Listen.
	Listen func(network, address string) (net.Listener, error)

	// Control, if set, is called with the resolved address before an
	// outgoing connection is made, and can refuse it.
	Control func(network, address string) error
}

// Counter is the component's counter siemd_<kind>_<name>, with its own name as
// a label and further labels as pairs. The same name and labels give the same
// counter, also after a reload. Label values must come from a fixed set, never from events.
func (e Env) Counter(name string, labels ...string) *metrics.Counter {
	return e.Metrics.GetOrCreateCounter(e.metric(name, labels))
}

// Histogram is the same for a histogram of seconds, in DurationBuckets.
func (e Env) Histogram(name string, labels ...string) *metrics.PrometheusHistogram {
	return e.Metrics.GetOrCreatePrometheusHistogramExt(e.metric(name, labels), DurationBuckets)
}

// DurationBuckets are the upper bounds of histograms, in seconds: from an fsync
// of a fast disk to an acknowledgement of a busy indexer.
var DurationBuckets = []float64{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}

// Gauge is the same for a gauge; f is called on every scrape.
func (e Env) Gauge(name string, f func() float64, labels ...string) *metrics.Gauge {
	return e.Metrics.GetOrCreateGauge(e.metric(name, labels), f)
}

func (e Env) metric(name string, labels []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "siemd_%s_%s{%s=%q", e.Kind, name, e.Kind, e.Name)
	for i := 0; i+1 < len(labels); i += 2 {
		fmt.Fprintf(&b, ",%s=%q", labels[i], labels[i+1])
	}
	b.WriteByte('}')
	return b.String()
}

// Identity is what the agent calls itself and the product it speaks for.
type Identity struct {
	Vendor  string `yaml:"vendor" doc:"vendor in CEF and LEEF headers"`
	Product string `yaml:"product" doc:"product in CEF and LEEF headers"`
	Version string `yaml:"version" doc:"the product's version"`
	App     string `yaml:"app" doc:"APP-NAME of syslog, source of HEC, namespace of the original event in ECS, SD-ID"`
	Host    string `yaml:"host" doc:"the reporting host; default: the machine's name"`
}

// DefaultIdentity is the identity of protocols Annex A. Host is left for the
// host program to fill in.
var DefaultIdentity = Identity{Vendor: "ZeroTrust", Product: "Mac-Compliance-System", Version: "1.0", App: "zerotrust"}
