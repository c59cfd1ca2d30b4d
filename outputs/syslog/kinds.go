package syslog

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/cef"
	"github.com/adrian207/siemd/codecs/fields"
	"github.com/adrian207/siemd/codecs/leef"
	"github.com/adrian207/siemd/codecs/rfc5424"
)

func init() {
	agent.RegisterOutput("syslog", defaults, func(c Config, env agent.Env) (agent.Output, error) {
		codec, err := c.codec(env.Identity, fields.ShowRepairs(env))
		if err != nil {
			return nil, err
		}
		return newOutput(c, codec, env)
	})
	agent.RegisterOutput("cef", cefDefaults, func(c CEFConfig, env agent.Env) (agent.Output, error) {
		codec, err := c.codec(env.Identity, fields.ShowRepairs(env))
		if err != nil {
			return nil, err
		}
		return newOutput(c.Config, codec, env)
	})
	agent.RegisterOutput("leef", leefDefaults, func(c LEEFConfig, env agent.Env) (agent.Output, error) {
		codec, err := c.codec(env.Identity, fields.ShowRepairs(env))
		if err != nil {
			return nil, err
		}
		return newOutput(c.Config, codec, env)
	})
}

func (c Config) codec(id agent.Identity, repairs *fields.Repairs) (*rfc5424.Codec, error) {
	return rfc5424.New(rfc5424.Config{
		HeaderConfig: c.header(id, repairs),
		SDID:         or(c.SDID, rfc5424.DefaultSDID(id.App)), // of the product, whatever app_name the receiver is shown
		BOM:          c.BOM,
		MaxMessage:   c.size(),
	})
}

func (c CEFConfig) codec(id agent.Identity, repairs *fields.Repairs) (*cef.Codec, error) {
	config := cef.Config{
		HeaderConfig:   c.header(id, repairs),
		Vendor:         or(c.Vendor, id.Vendor),
		Product:        or(c.Product, id.Product),
		ProductVersion: or(c.ProductVersion, id.Version),
		MaxMessage:     c.size(),
	}
	if c.CEFVersion == "1" {
		config.Version = 1
	}
	for _, key := range slices.Sorted(maps.Keys(c.Extensions)) {
		field, isLabel := strings.CutSuffix(key, "Label")
		if _, ok := c.Extensions[field]; isLabel && ok {
			continue // it goes with its field
		}
		x := cef.Extension{Key: key, Path: c.Extensions[key], Label: c.Extensions[key+"Label"]}
		if x.Label == "" && customField(key) {
			x.Label = x.Path
		}
		config.Extensions = append(config.Extensions, x)
	}
	return cef.New(config)
}

// customField reports whether key is one of the fields that CEF wants a label for.
func customField(key string) bool {
	base := strings.TrimRight(key, "0123456789")
	return base != key && slices.Contains([]string{"cs", "cn", "cfp", "flexString", "flexDate", "flexNumber", "deviceCustomDate", "c6a"}, base)
}

func (c LEEFConfig) codec(id agent.Identity, repairs *fields.Repairs) (*leef.Codec, error) {
	return leef.New(leef.Config{
		HeaderConfig:   c.header(id, repairs),
		Version:        c.LEEFVersion,
		Delimiter:      c.Delimiter,
		Vendor:         or(c.Vendor, id.Vendor),
		Product:        or(c.Product, id.Product),
		ProductVersion: or(c.ProductVersion, id.Version),
		MaxMessage:     c.size(),
		Extensions:     leefExtensions(c.Extensions),
	})
}

func leefExtensions(m map[string]string) (list []leef.Extension) {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		list = append(list, leef.Extension{Key: key, Path: m[key]})
	}
	return list
}

// Validate reports keys that do not fit together.
func (c Config) Validate() error {
	return errors.Join(c.validate(), c.ValidateAs(agent.DefaultIdentity))
}

// Validate reports keys that do not fit together.
func (c CEFConfig) Validate() error {
	return errors.Join(c.validate(), c.ValidateAs(agent.DefaultIdentity))
}

// Validate reports keys that do not fit together.
func (c LEEFConfig) Validate() error {
	return errors.Join(c.validate(), c.ValidateAs(agent.DefaultIdentity))
}

// ValidateAs reports what no message could be made of by an agent of this identity.
func (c Config) ValidateAs(id agent.Identity) error {
	c.MaxMessage = 0 // checked with the transport
	_, err := c.codec(id, nil)
	return keyError(err)
}

// ValidateAs reports what no message could be made of by an agent of this identity.
func (c CEFConfig) ValidateAs(id agent.Identity) error {
	c.MaxMessage = 0
	_, err := c.codec(id, nil)
	return keyError(err)
}

// ValidateAs reports what no message could be made of by an agent of this identity.
func (c LEEFConfig) ValidateAs(id agent.Identity) error {
	c.MaxMessage = 0
	_, err := c.codec(id, nil)
	return keyError(err)
}

// keyError takes the key out of a codec's error, where it comes first.
func keyError(err error) error {
	if err == nil {
		return nil
	}
	key, message, ok := strings.Cut(err.Error(), ": ")
	if !ok || strings.Contains(key, " ") {
		return err
	}
	return &agent.KeyError{Key: key, Message: message}
}

// header is the config of what stands in front of every message.
func (c Config) header(id agent.Identity, repairs *fields.Repairs) rfc5424.HeaderConfig {
	facility, _ := rfc5424.Facility(c.Facility)
	return rfc5424.HeaderConfig{
		RFC: c.RFC, Facility: facility, App: or(c.AppName, id.App), Hostname: c.Hostname, Host: id.Host, Repairs: repairs,
	}
}

func or(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}
