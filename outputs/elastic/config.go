// Package elastic sends events to the bulk interface of Elasticsearch and
// OpenSearch.
//
// Events are created under their own id, so that one that was sent before is
// known there and refused as a duplicate (409), which counts as sent: each
// event is there once, whatever was repeated on the way. Each event of a
// request has its own verdict.
package elastic

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/httpx"
	"github.com/adrian207/siemd/codecs/ecs"
	"github.com/adrian207/siemd/codecs/fields"
)

// Config are the keys of the elastic output.
type Config struct {
	httpx.Config `yaml:",inline"`

	Username     string       `yaml:"username" example:"siemd" doc:"User name for basic authentication."`
	Password     agent.Secret `yaml:"password" doc:"Its password."`
	APIKey       agent.Secret `yaml:"api_key" example:"${file:/etc/siemd/elastic.key}" doc:"API key, as id:key or in the encoded form that Elasticsearch shows."`
	Index        string       `yaml:"index" example:"zerotrust-%Y.%m.%d" doc:"Index, alias or data stream: fixed, or with the date (%Y %m %d %H) and values of the event behind a fixed beginning, as in zerotrust-{event_type}; default: the identity's app and -events."`
	IndexDefault string       `yaml:"index_default" example:"zerotrust-other" doc:"Index of events whose values do not fit the name of an index; default: the fixed beginning of index, for a data stream with its namespace. Their documents have the tag siemd_route."`
	Op           string       `yaml:"op" oneof:"create|index" doc:"create: an event that is there already stays as it is; index: it is overwritten."`
	DataStream   string       `yaml:"data_stream" example:"logs-zerotrust.{event_type}-default" doc:"Name of a data stream to write to, in place of index; or true if index names one."`
	Pipeline     string       `yaml:"pipeline" example:"zerotrust" doc:"Ingest pipeline."`
	Routing      string       `yaml:"routing" example:"{source}" doc:"Routing to a shard: fixed, or {source}."`
	CloudID      string       `yaml:"cloud_id" replaces:"endpoint" example:"prod:ZXhhbXBsZS5jb20kYWJj" doc:"Elastic Cloud id, in place of endpoint."`
	Schema       string       `yaml:"schema" oneof:"ecs|raw" doc:"ecs: fields of the Elastic Common Schema with the event below them; raw: the event itself with an @timestamp."`

	app string // the identity's, for the mapping of the original event
}

// Defaults is the config of an output of which only the endpoint is given.
var Defaults = Config{Config: httpx.Defaults, Op: "create", Schema: "ecs"}

// Validate reports values that no request could be made of.
func (c Config) Validate() error {
	c, err := c.resolved()
	if err != nil {
		return err
	}
	errs := []error{c.Config.Validate()}
	bad := func(key, hint, message string) {
		errs = append(errs, &agent.KeyError{Key: key, Message: message, Hint: hint})
	}
	switch {
	case !c.APIKey.IsZero() && (c.Username != "" || !c.Password.IsZero()):
		bad("api_key", "remove one of them", "there is an api_key and a username or password")
	case c.Username != "" && c.Password.IsZero():
		bad("username", "add password", "a username needs its password")
	case c.Username == "" && !c.Password.IsZero():
		bad("password", "add username", "a password needs its username")
	case strings.Contains(c.Username, ":"):
		bad("username", "", "a username cannot have a colon in basic authentication")
	}
	if strings.ContainsAny(c.APIKey.Reveal(), "\r\n\x00") {
		bad("api_key", "check the file or variable that it comes from", "the key has a line break in it")
	}
	if c.Index != "" && c.streamName() != "" {
		bad("data_stream", "write data_stream: true, or remove index", "index and data_stream both name a target")
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
	if key == "index" && c.streamName() != "" {
		key = "data_stream"
	}
	hint := ""
	if key == "op" {
		hint = "remove op, or write op: create"
	}
	return &agent.KeyError{Key: key, Message: message, Hint: hint}
}

// resolved is c with the endpoint that the cloud id stands for.
func (c Config) resolved() (Config, error) {
	switch {
	case c.CloudID == "" && len(c.Endpoint) == 0:
		return c, &agent.KeyError{Message: `key "endpoint" is missing`, Hint: "endpoint: https://elastic.example.com:9200, or cloud_id"}
	case c.CloudID == "":
		return c, nil
	case len(c.Endpoint) > 0:
		return c, &agent.KeyError{Key: "cloud_id", Message: "endpoint and cloud_id both say where to send", Hint: "remove one of them"}
	}
	url, err := cloudEndpoint(c.CloudID)
	if err != nil {
		return c, &agent.KeyError{Key: "cloud_id", Message: err.Error(), Hint: "copy it from the deployment's page: name:base64"}
	}
	c.Endpoint = []string{url}
	return c, nil
}

func decodeBase64(s string) ([]byte, error) {
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
}

// otherwise is the target of events whose values do not fit the template.
// Empty means the template's fixed beginning, which would be no name of a data
// stream: that has a type, a dataset and a namespace.
func (c Config) otherwise(id agent.Identity) string {
	target := c.target(id)
	first := strings.IndexAny(target, "{%")
	if c.IndexDefault != "" || !c.isStream() || first < 0 {
		return c.IndexDefault
	}
	last := strings.LastIndexAny(target, "}%") + 1
	if last > 0 && target[last-1] == '%' {
		last = min(last+1, len(target)) // the letter of a date
	}
	begin, end := strings.TrimRight(target[:first], "-._"), target[last:]
	if !strings.HasPrefix(end, "-") {
		end = ""
	}
	if strings.Count(begin+end, "-") < 2 {
		begin += "-other"
	}
	return begin + end
}

// isStream reports whether events go to a data stream.
func (c Config) isStream() bool { return c.DataStream != "" && c.DataStream != "false" }

// streamName is the data stream that data_stream itself names.
func (c Config) streamName() string {
	if !c.isStream() || c.DataStream == "true" {
		return ""
	}
	return c.DataStream
}

// target is the template of where events go.
func (c Config) target(id agent.Identity) string {
	switch {
	case c.streamName() != "":
		return c.streamName()
	case c.Index != "":
		return c.Index
	case c.isStream():
		return "logs-" + strings.ToLower(id.App) + ".{event_type}-default"
	}
	return strings.ToLower(id.App) + "-events"
}

func (c Config) codec(id agent.Identity, repairs *fields.Repairs) (*ecs.Codec, error) {
	return ecs.New(ecs.Config{
		App: id.App, Op: c.Op, Index: c.target(id), IndexDefault: c.otherwise(id), DataStream: c.isStream(),
		Pipeline: c.Pipeline, Routing: c.Routing, Schema: c.Schema, Repairs: repairs,
	})
}

func (c Config) client(env agent.Env) (*httpx.Client, error) {
	header := http.Header{"Content-Type": {"application/x-ndjson"}, "Accept": {"application/json"}}
	var secrets []agent.Secret
	switch {
	case !c.APIKey.IsZero():
		// What Elasticsearch shows as "encoded" is id:key in base64 already.
		encoded := c.APIKey.Reveal()
		if strings.Contains(encoded, ":") {
			encoded = base64.StdEncoding.EncodeToString([]byte(encoded))
		}
		header.Set("Authorization", "ApiKey "+encoded)
		secrets = append(secrets, agent.NewSecret(encoded))
		if plain, err := base64.StdEncoding.DecodeString(encoded); err == nil {
			secrets = append(secrets, agent.NewSecret(string(plain)))
			if _, key, ok := strings.Cut(string(plain), ":"); ok {
				secrets = append(secrets, agent.NewSecret(key))
			}
		}
	case c.Username != "":
		pair := c.Username + ":" + c.Password.Reveal()
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
		secrets = append(secrets, c.Password, agent.NewSecret(pair))
	}
	client, err := httpx.New(c.Config, env, httpx.Options{Header: header, Secrets: secrets, Strip: []string{"/_bulk"}, Health: "/"})
	if err != nil {
		return nil, fmt.Errorf("elastic: %w", err)
	}
	return client, nil
}
