// Package hec writes events for Splunk's HTTP Event Collector: one envelope and
// a line feed for each event, in a request simply one after the other.
package hec

import (
	"fmt"
	"maps"
	"slices"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
	"github.com/adrian207/siemd/codecs/json"
	"github.com/adrian207/siemd/codecs/route"
)

// Config of a Codec. Index, Sourcetype and Source may be templates (package route).
type Config struct {
	App        string // the beginning of the default source
	Host       string // left out of the envelope if empty
	Source     string // default <App>:{event_type}
	Sourcetype string // left to the token if empty
	Index      string // left to the token if empty

	// Defaults for events whose values do not fit the template; empty: the template's beginning.
	SourceDefault, SourcetypeDefault, IndexDefault string

	Fields map[string]string // indexed fields, the same for every event
	Raw    bool              // no envelope: the body alone, for /services/collector/raw

	Repairs *fields.Repairs // counts what did not fit; may be nil
}

// Codec is an agent.Encoder. It is safe for concurrent use.
type Codec struct {
	raw     bool
	names   []*route.Template // each with the fixed text before it
	last    []byte            // the fixed text before the event
	closing []byte
	flagged []byte // closing for an event that went to a default name
}

// New makes a Codec, or says which template is wrong.
func New(c Config) (*Codec, error) {
	if c.Source == "" {
		c.Source = c.App + ":{event_type}"
		if c.App == "" {
			c.Source = "siemd:{event_type}"
		}
	}
	k := &Codec{raw: c.Raw}
	var fixed []byte
	if c.Host != "" {
		fixed = json.AppendString(append(fixed, `,"host":`...), c.Host)
	}
	for _, m := range []struct {
		key, text, fallback string
		alphabet            *route.Alphabet
	}{
		{"source", c.Source, c.SourceDefault, route.Text},
		{"sourcetype", c.Sourcetype, c.SourcetypeDefault, route.SplunkSourcetype},
		{"index", c.Index, c.IndexDefault, route.SplunkIndex},
	} {
		if m.text == "" {
			continue
		}
		t, err := route.Parse(m.text, m.fallback, m.alphabet, c.Repairs)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.key, err)
		}
		fixed = append(fixed, `,"`+m.key+`":"`...)
		if name, ok := t.Fixed(); ok {
			fixed = append(fixed, name...)
		} else {
			t.Around(fixed, nil)
			k.names = append(k.names, t)
			fixed = nil
		}
		fixed = append(fixed, '"')
	}
	fixed = append(fixed, `,"event":`...)
	k.last = fixed
	k.closing = closing(c.Fields)
	marked := map[string]string{}
	maps.Copy(marked, c.Fields)
	marked[route.Flag] = "default"
	k.flagged = closing(marked)
	return k, nil
}

func closing(indexed map[string]string) []byte {
	var b []byte
	for _, name := range slices.Sorted(maps.Keys(indexed)) {
		if b == nil {
			b = append(b, `,"fields":{`...)
		} else {
			b = append(b, ',')
		}
		b = append(json.AppendString(b, name), ':')
		b = json.AppendString(b, indexed[name])
	}
	if b != nil {
		b = append(b, '}')
	}
	return append(b, '}', '\n')
}

// Encode appends the envelope of e and a line feed. It never fails.
func (c *Codec) Encode(dst []byte, e *agent.Event) ([]byte, error) {
	if c.raw {
		return append(append(dst, e.Body...), '\n'), nil
	}
	dst = append(dst, `{"time":`...)
	dst = fields.AppendSeconds(dst, e.Time)
	all := true
	for _, name := range c.names {
		var own bool
		dst, own = name.AppendJSON(dst, e)
		all = all && own
	}
	dst = append(dst, c.last...)
	dst = append(dst, e.Body...)
	if !all {
		return append(dst, c.flagged...), nil
	}
	return append(dst, c.closing...), nil
}
