package http

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/httpx"
)

// tokens gets access tokens with OAuth2 client credentials (RFC 6749, 4.4) and keeps one while it is valid.
type tokens struct {
	client *httpx.Client // of the token server
	header http.Header
	form   string

	mu      sync.Mutex // guards the rest; held while a token is fetched, so that one is fetched for all
	access  agent.Secret
	expires time.Time // zero: when it is refused
}

func newTokens(c Config, env agent.Env) (*tokens, error) {
	a := c.Auth
	other := c.Config
	other.Endpoint, other.Compression, other.TLS.ServerName = []string{a.TokenURL}, "none", ""
	form := url.Values{"grant_type": {"client_credentials"}}
	if len(a.Scopes) > 0 {
		form.Set("scope", strings.Join(a.Scopes, " "))
	}
	if a.Audience != "" {
		form.Set("audience", a.Audience)
	}
	secret := a.ClientSecret.Reveal()
	// Both are encoded before they are joined: RFC 6749, 2.3.1.
	pair := url.QueryEscape(a.ClientID) + ":" + url.QueryEscape(secret)
	t := &tokens{header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"}}}
	if a.ClientAuth == "body" {
		form.Set("client_id", a.ClientID)
		form.Set("client_secret", secret)
	} else {
		r := http.Request{Header: t.header}
		r.SetBasicAuth(url.QueryEscape(a.ClientID), url.QueryEscape(secret))
	}
	t.form = form.Encode()
	var err error
	t.client, err = httpx.New(other, env, httpx.Options{Header: t.header, Secrets: []agent.Secret{a.ClientSecret, agent.NewSecret(pair), agent.NewSecret(a.ClientID + ":" + secret)}})
	return t, err
}

// get returns a valid token and fetches one if there is none.
func (t *tokens) get(ctx context.Context) (agent.Secret, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.access.IsZero() && (t.expires.IsZero() || time.Now().Before(t.expires)) {
		return t.access, nil
	}
	resp, err := t.client.Do(ctx, &httpx.Request{Body: []byte(t.form)})
	if err != nil {
		return agent.Secret{}, err
	}
	defer resp.Release()
	if resp.Status != http.StatusOK {
		err := resp.Err()
		// It says nothing about events.
		switch {
		case err == nil || agent.IsPermanent(err) || agent.IsTooLarge(err):
			err = agent.Blocked(resp.Answer()) // the credentials or the scopes are wrong
		case agent.IsSuspect(err):
			err = resp.Answer() // the server is ill
		}
		return agent.Secret{}, err
	}
	var answer struct {
		AccessToken string          `json:"access_token"`
		ExpiresIn   json.RawMessage `json:"expires_in"`
	}
	if json.Unmarshal(resp.Body, &answer) != nil || answer.AccessToken == "" || strings.ContainsFunc(answer.AccessToken, isControl) {
		// The answer may hold half a token, so it is not shown.
		return agent.Secret{}, &agent.AnswerError{Endpoint: resp.Endpoint.String(), Status: resp.Status, Answer: "no access_token in the answer of the token server"}
	}
	t.access, t.expires = agent.NewSecret(answer.AccessToken), time.Time{}
	// A number, or one in quotes; anything else is as if it were not there.
	if s, err := strconv.ParseFloat(string(bytes.Trim(answer.ExpiresIn, `"`)), 64); err == nil && s > 0 && s < 1e9 {
		life := time.Duration(s * float64(time.Second))
		t.expires = time.Now().Add(life - min(life/5, time.Minute)) // not so late that it ends on the way
	}
	return t.access, nil
}

// drop forgets a token that the target refused, and reports whether it was
// the current one: if not, there is another one to try already.
func (t *tokens) drop(access agent.Secret) (current bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if current = t.access == access; current {
		t.access = agent.Secret{}
	}
	return current
}

var errStale = errors.New("the access token was refused; a new one is fetched")
