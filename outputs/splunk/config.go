// Package splunk sends events to Splunk's HTTP Event Collector, and to
// receivers that speak its protocol.
//
// A request holds one envelope for each event. When Splunk refuses one of them
// it has taken all before it and none from it on, so the refusal is that
// event's alone and only those behind it are sent again. With ack: true an
// event counts as sent when Splunk has said that its copy is safe (indexer
// acknowledgement), not when it was received.
package splunk

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/httpx"
	"github.com/adrian207/siemd/codecs/fields"
	"github.com/adrian207/siemd/codecs/hec"
)

// Config are the keys of the splunk output.
type Config struct {
	httpx.Config `yaml:",inline"`

	Token        agent.Secret      `yaml:"token" required:"true" example:"${file:/etc/siemd/hec.token}" doc:"HEC token."`
	Index        string            `yaml:"index" example:"zerotrust" doc:"Index: fixed, or with values of the event behind a fixed beginning, as in zt-{event_type}; empty: the token's."`
	IndexDefault string            `yaml:"index_default" example:"zerotrust" doc:"Index of events whose values do not fit the name of an index; default: the fixed beginning of index. They have the indexed field siemd_route=default."`
	Sourcetype   string            `yaml:"sourcetype" example:"_json" doc:"Sourcetype; may hold {event_type} behind a fixed beginning."`
	Source       string            `yaml:"source" example:"zerotrust:{event_type}" doc:"Source; default: the identity's app, a colon and the event type."`
	Host         string            `yaml:"host" example:"agent01" doc:"Host; default: the identity's host."`
	Ack          bool              `yaml:"ack" doc:"An event is sent when Splunk has acknowledged it (indexer acknowledgement); the token must have useACK."`
	Mode         string            `yaml:"mode" oneof:"event|raw" doc:"event: envelopes with time and metadata; raw: the events alone, one a line, metadata in the URL."`
	Fields       map[string]string `yaml:"fields" doc:"Indexed fields, the same for every event."`
}

// Defaults is the config of an output of which only endpoint and token are given.
var Defaults = Config{Config: httpx.Defaults, Index: "zerotrust", Sourcetype: "_json", Mode: "event"}

// Validate reports values that no request could be made of.
func (c Config) Validate() error {
	errs := []error{c.Config.Validate()}
	if strings.ContainsAny(c.Token.Reveal(), "\r\n\x00") {
		errs = append(errs, &agent.KeyError{Key: "token", Message: "the token has a line break in it", Hint: "check the file or variable that it comes from"})
	}
	if c.Mode == "raw" {
		for _, k := range []struct{ key, value string }{{"index", c.Index}, {"sourcetype", c.Sourcetype}, {"source", c.Source}} {
			if strings.ContainsAny(k.value, "{%") {
				errs = append(errs, &agent.KeyError{Key: k.key, Message: "mode raw has one " + k.key + " for a whole request, so it cannot depend on the event", Hint: "use mode: event"})
			}
		}
		if len(c.Fields) > 0 {
			errs = append(errs, &agent.KeyError{Key: "fields", Message: "mode raw has no indexed fields", Hint: "use mode: event"})
		}
	}
	for name := range c.Fields {
		if name == "" {
			errs = append(errs, &agent.KeyError{Key: "fields", Message: "a field has no name"})
		}
	}
	errs = append(errs, c.ValidateAs(agent.DefaultIdentity))
	return errors.Join(errs...)
}

// ValidateAs reports what no request could be made of for an agent of this identity.
func (c Config) ValidateAs(id agent.Identity) error {
	_, err := c.codec(id, nil)
	if err == nil {
		return nil
	}
	key, message, _ := strings.Cut(err.Error(), ": ")
	return &agent.KeyError{Key: key, Message: message}
}

func (c Config) codec(id agent.Identity, repairs *fields.Repairs) (*hec.Codec, error) {
	return hec.New(hec.Config{
		App: id.App, Host: c.host(id), Source: c.Source, Sourcetype: c.Sourcetype,
		Index: c.Index, IndexDefault: c.IndexDefault,
		Fields: c.Fields, Raw: c.Mode == "raw", Repairs: repairs,
	})
}

func (c Config) host(id agent.Identity) string {
	if c.Host != "" {
		return c.Host
	}
	return id.Host
}

const (
	eventPath  = "/services/collector/event"
	rawPath    = "/services/collector/raw"
	ackPath    = "/services/collector/ack"
	healthPath = "/services/collector/health"
)

// path is where events go.
func (c Config) path(id agent.Identity) string {
	if c.Mode != "raw" {
		return eventPath
	}
	q := url.Values{}
	source := c.Source
	if source == "" {
		source = id.App
	}
	for _, m := range [][2]string{{"host", c.host(id)}, {"source", source}, {"sourcetype", c.Sourcetype}, {"index", c.Index}} {
		if m[1] != "" {
			q.Set(m[0], m[1])
		}
	}
	return rawPath + "?" + q.Encode()
}

func (c Config) client(env agent.Env) (*httpx.Client, error) {
	client, err := httpx.New(c.Config, env, httpx.Options{
		Header:  http.Header{"Authorization": {"Splunk " + c.Token.Reveal()}, "Content-Type": {"application/json"}},
		Secrets: []agent.Secret{c.Token},
		Strip:   []string{eventPath + "/1.0", eventPath, rawPath + "/1.0", rawPath, "/services/collector"},
		Health:  healthPath,
	})
	if err != nil {
		return nil, fmt.Errorf("splunk: %w", err)
	}
	return client, nil
}
