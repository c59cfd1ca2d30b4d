package delivery

import (
	"errors"
	"strconv"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent"
)

// Config are the keys that every output has.
type Config struct {
	Enabled     bool           `yaml:"enabled" doc:"false: the output is stopped and keeps its place in the log"`
	Start       string         `yaml:"start" oneof:"latest|oldest" doc:"where a new output begins in the log"`
	Filter      Filter         `yaml:"filter" doc:"which events this output gets; all conditions must hold"`
	Batch       Batch          `yaml:"batch" doc:"how many events go in one request; whichever limit is reached first"`
	Concurrency Concurrency    `yaml:"concurrency" doc:"requests in flight: auto or a number; 1 keeps the order of events"`
	Timeout     agent.Duration `yaml:"timeout" doc:"how long one request may take"`
	Retry       Retry          `yaml:"retry" doc:"waiting between attempts"`
	MaxAge      agent.Duration `yaml:"max_age" doc:"events older than this, counted from receipt, expire unsent; 0: never"`
	MaxLag      agent.Bytes    `yaml:"max_lag" doc:"events expire unsent while about more than this waits in the log for this output; 0: no limit"`
	RateLimit   RateLimit      `yaml:"rate_limit" doc:"the most that is sent in a second: a number of events, or a map"`
}

// Filter says which events an output takes.
type Filter struct {
	EventTypes  []string       `yaml:"event_types" example:"[anomaly, alert]" doc:"only events of these types; empty: all"`
	MinSeverity agent.Severity `yaml:"min_severity" example:"medium" doc:"only events of at least this severity; events without one count as informational"`
}

// Batch limits one request.
type Batch struct {
	MaxEvents int            `yaml:"max_events" doc:"events in a batch"`
	MaxBytes  agent.Bytes    `yaml:"max_bytes" doc:"size of a batch, encoded and before compression; a single larger event goes alone"`
	MaxWait   agent.Duration `yaml:"max_wait" doc:"how long an event may wait for others"`
}

// Retry says how long to wait between attempts and when to give up on an event that is blamed.
type Retry struct {
	Initial     agent.Duration `yaml:"initial" doc:"the longest first wait; it doubles from there, and each wait is a random part of it"`
	Max         agent.Duration `yaml:"max" doc:"the longest wait"`
	MaxAttempts int            `yaml:"max_attempts" doc:"answers that blame a batch without saying why, while others pass, before it is halved; outages never count"`
}

// RateLimit is the most that an output sends in a second. Zero means no limit.
type RateLimit struct {
	Events int         `yaml:"events" alone:"true" doc:"events a second"`
	Bytes  agent.Bytes `yaml:"bytes" doc:"bytes a second, encoded and before compression"`
}

// Concurrency is a number of requests in flight, or 0 for auto.
type Concurrency int

// maxConcurrency is more than any receiver wants from one client.
const maxConcurrency = 64

// DecodeNode takes a number or the word auto.
func (c *Concurrency) DecodeNode(ps *agent.Problems, n *yaml.Node) {
	if n.Kind == yaml.ScalarNode {
		if n.Value == "auto" {
			*c = 0
			return
		}
		if i, err := strconv.Atoi(n.Value); err == nil && 1 <= i && i <= maxConcurrency {
			*c = Concurrency(i)
			return
		}
	}
	ps.Add(n, "1 keeps the order of events", "want auto or a number from 1 to %d", maxConcurrency)
}

// MarshalText writes what DecodeNode takes.
func (c Concurrency) MarshalText() ([]byte, error) {
	if c == 0 {
		return []byte("auto"), nil
	}
	return strconv.AppendInt(nil, int64(c), 10), nil
}

// DefaultConfig is the config of an output that says nothing. Its batches are
// below what the usual receivers take in one request.
func DefaultConfig() Config {
	return Config{
		Enabled: true,
		Start:   "latest",
		Batch:   Batch{MaxEvents: 2000, MaxBytes: 1e6, MaxWait: agent.Duration(time.Second)},
		Timeout: agent.Duration(30 * time.Second),
		Retry:   Retry{Initial: agent.Duration(time.Second), Max: agent.Duration(time.Minute), MaxAttempts: 3},
	}
}

// Validate names the values that no runner could work with.
func (c *Config) Validate() error {
	var errs []error
	check := func(ok bool, key, message, hint string) {
		if !ok {
			errs = append(errs, &agent.KeyError{Key: key, Message: message, Hint: hint})
		}
	}
	for _, t := range c.Filter.EventTypes {
		check(t != "", "filter.event_types", "an event type is empty", "leave the list out to take all types")
	}
	check(1 <= c.Batch.MaxEvents && c.Batch.MaxEvents <= 100_000, "batch.max_events", "want 1 to 100000 events", "1000 to 5000 suit most receivers")
	check(1<<10 <= c.Batch.MaxBytes && c.Batch.MaxBytes <= 64<<20, "batch.max_bytes", "want 1KiB to 64MiB", "1MB suits most receivers")
	check(c.Batch.MaxWait.D() <= time.Hour, "batch.max_wait", "want at most 1h", "")
	check(time.Millisecond <= c.Timeout.D() && c.Timeout.D() <= time.Hour, "timeout", "want 1ms to 1h", "the default is 30s")
	check(time.Millisecond <= c.Retry.Initial.D() && c.Retry.Initial.D() <= time.Hour, "retry.initial", "want 1ms to 1h", "the default is 1s")
	check(c.Retry.Initial <= c.Retry.Max && c.Retry.Max.D() <= 24*time.Hour, "retry.max", "want at least retry.initial and at most 1d", "the default is 1m")
	check(1 <= c.Retry.MaxAttempts && c.Retry.MaxAttempts <= 1000, "retry.max_attempts", "want 1 to 1000", "the default is 3")
	check(c.RateLimit.Events >= 0, "rate_limit.events", "want 0 (no limit) or more", "")
	return errors.Join(errs...)
}
