// Package http sends events to any HTTP interface that takes JSON: as lines
// (NDJSON) or as an array, with fixed headers and basic, bearer or OAuth2
// authentication. What statuses mean can be configured; by default 2xx is
// success and the rest is as for all HTTP targets (package httpx).
package http

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/httpx"
)

// Config are the keys of the http output.
type Config struct {
	httpx.Config `yaml:",inline"`

	Method  string                  `yaml:"method" oneof:"POST|PUT|PATCH" doc:"HTTP method."`
	Headers map[string]agent.Secret `yaml:"headers" doc:"Headers of every request. Their values are treated as secrets."`
	Format  string                  `yaml:"format" oneof:"ndjson|array" doc:"ndjson: one event a line; array: one JSON array a request."`
	Auth    Auth                    `yaml:"auth" doc:"How requests are authenticated."`
	Status  Status                  `yaml:"status" doc:"What the target means by a status, where it differs from the usual."`
}

// Auth is how requests are authenticated.
type Auth struct {
	Type         string       `yaml:"type" oneof:"none|basic|bearer|oauth2" doc:"basic: username and password; bearer: a fixed token; oauth2: client credentials."`
	Username     string       `yaml:"username" doc:"User name of basic."`
	Password     agent.Secret `yaml:"password" doc:"Password of basic."`
	Token        agent.Secret `yaml:"token" doc:"Token of bearer."`
	TokenURL     string       `yaml:"token_url" example:"https://login.example.com/oauth2/token" doc:"Where oauth2 gets its tokens."`
	ClientID     string       `yaml:"client_id" doc:"Client id of oauth2."`
	ClientSecret agent.Secret `yaml:"client_secret" doc:"Client secret of oauth2."`
	Scopes       []string     `yaml:"scopes" doc:"Scopes that oauth2 asks for."`
	Audience     string       `yaml:"audience" doc:"Audience that oauth2 asks for, where the server wants one."`
	ClientAuth   string       `yaml:"client_auth" oneof:"header|body" doc:"Where oauth2 puts client id and secret."`
}

// Status lists statuses with a meaning of their own.
type Status struct {
	OK      []int `yaml:"ok" doc:"The events are taken; default: 200 to 299."`
	Retry   []int `yaml:"retry" doc:"Nothing is known: the same again later."`
	Refused []int `yaml:"refused" doc:"The events will never be taken."`
	Held    []int `yaml:"held" doc:"Nothing will be taken until a person acts."`
}

// Defaults is the config of an output of which only the endpoint is given.
var Defaults = Config{Config: httpx.Defaults, Method: "POST", Format: "ndjson", Auth: Auth{Type: "none", ClientAuth: "header"}}

// Headers that the client itself writes.
var ownHeaders = []string{"Content-Length", "Transfer-Encoding", "Content-Encoding", "Connection", "User-Agent", "Trailer", "Upgrade"}

// Validate reports values that no request could be made of.
func (c Config) Validate() error {
	errs := []error{c.Config.Validate()}
	bad := func(key, hint, format string, args ...any) {
		errs = append(errs, &agent.KeyError{Key: key, Message: fmt.Sprintf(format, args...), Hint: hint})
	}
	seen := map[string]bool{}
	for name, value := range c.Headers {
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !isToken(name):
			bad("headers", "", "%q is not the name of a header", name)
		case slices.Contains(ownHeaders, canonical):
			bad("headers", "remove it", "%s is written by siemd itself", canonical)
		case canonical == "Authorization" && c.Auth.Type != "none":
			bad("headers", "remove it, or auth", "%s stands for auth, which is given too", canonical)
		case seen[canonical]:
			bad("headers", "keep one of them", "%s is given twice", canonical)
		case strings.ContainsFunc(value.Reveal(), isControl):
			bad("headers", "", "the value of %s has a control character in it", canonical)
		}
		seen[canonical] = true
	}
	a := c.Auth
	need := func(key string, missing bool) {
		if missing {
			bad("auth."+key, "add "+key, "auth of type %s needs %s", a.Type, key)
		}
	}
	stray := func(key string, given bool, kind string) {
		if given && a.Type != kind {
			bad("auth."+key, "set type: "+kind, "%s belongs to auth of type %s", key, kind)
		}
	}
	switch a.Type {
	case "basic":
		need("username", a.Username == "")
		need("password", a.Password.IsZero())
		if strings.Contains(a.Username, ":") {
			bad("auth.username", "", "a username cannot have a colon in basic authentication")
		}
	case "bearer":
		need("token", a.Token.IsZero())
		if strings.ContainsFunc(a.Token.Reveal(), isControl) {
			bad("auth.token", "check the file or variable that it comes from", "the token has a line break in it")
		}
	case "oauth2":
		need("token_url", a.TokenURL == "")
		need("client_id", a.ClientID == "")
		need("client_secret", a.ClientSecret.IsZero())
		if u, err := url.Parse(a.TokenURL); a.TokenURL != "" && (err != nil || u.Host == "" || u.User != nil || (u.Scheme != "https" && u.Scheme != "http")) {
			bad("auth.token_url", "for example https://login.example.com/oauth2/token", "not a URL for tokens")
		}
	}
	stray("username", a.Username != "", "basic")
	stray("password", !a.Password.IsZero(), "basic")
	stray("token", !a.Token.IsZero(), "bearer")
	stray("token_url", a.TokenURL != "", "oauth2")
	stray("client_id", a.ClientID != "", "oauth2")
	stray("client_secret", !a.ClientSecret.IsZero(), "oauth2")

	meaning := map[int]string{}
	for _, l := range []struct {
		key  string
		list []int
	}{{"ok", c.Status.OK}, {"retry", c.Status.Retry}, {"refused", c.Status.Refused}, {"held", c.Status.Held}} {
		for _, s := range l.list {
			switch {
			case s < 200 || s > 599:
				bad("status."+l.key, "", "%d is not a status that an answer can have", s)
			case meaning[s] != "" && meaning[s] != l.key:
				bad("status."+l.key, "keep one of them", "%d stands under %s too", s, meaning[s])
			}
			meaning[s] = l.key
		}
	}
	return errors.Join(errs...)
}

func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
	})
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// Headers whose values are no secrets, and would make nonsense of an answer if masked in it.
var plainHeaders = []string{"Content-Type", "Accept", "Host"}

func (c Config) client(env agent.Env) (*httpx.Client, error) {
	kind := "application/x-ndjson"
	if c.Format == "array" {
		kind = "application/json"
	}
	header := http.Header{"Content-Type": {kind}}
	var secrets []agent.Secret
	for name, value := range c.Headers {
		header.Set(name, value.Reveal())
		if !slices.Contains(plainHeaders, http.CanonicalHeaderKey(name)) && len(value.Reveal()) >= 6 {
			secrets = append(secrets, value)
			if _, word, ok := strings.Cut(value.Reveal(), " "); ok && len(word) >= 6 {
				secrets = append(secrets, agent.NewSecret(word)) // without its scheme
			}
		}
	}
	switch a := c.Auth; a.Type {
	case "basic":
		pair := a.Username + ":" + a.Password.Reveal()
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
		secrets = append(secrets, a.Password, agent.NewSecret(pair))
	case "bearer":
		header.Set("Authorization", "Bearer "+a.Token.Reveal())
		secrets = append(secrets, a.Token)
	case "oauth2":
		secrets = append(secrets, a.ClientSecret)
	}
	return httpx.New(c.Config, env, httpx.Options{Header: header, Secrets: secrets})
}
