package http

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/adrian207/siemd/agent"
)

// tokens are those that are accepted, as hashes: all of the same length, so
// that comparing takes the same time for any two texts.
type tokens [][sha256.Size]byte

func newTokens(secrets []agent.Secret) tokens {
	var t tokens
	for _, s := range secrets {
		t = append(t, sha256.Sum256([]byte(s.Reveal())))
	}
	return t
}

// has compares with every token, whether one fits or not. Without tokens anything fits.
func (t tokens) has(token string) bool {
	sum := sha256.Sum256([]byte(token))
	found := 0
	for i := range t {
		found |= subtle.ConstantTimeCompare(sum[:], t[i][:])
	}
	return found == 1 || len(t) == 0
}

// A credential is what a request says about who sends it.
type credential uint8

const (
	credentialGood    credential = iota
	credentialNone               // no header, or a scheme without a token
	credentialUnknown            // a scheme that is not known, or not readable
	credentialWrong              // no token of ours
)

// check reads the Authorization header: Bearer and Splunk with the token, Basic
// with the token as password, ApiKey with base64 of id:token.
func (t tokens) check(h http.Header) credential {
	scheme, rest, _ := strings.Cut(strings.TrimSpace(h.Get("Authorization")), " ")
	rest = strings.TrimSpace(rest)
	switch {
	case len(t) == 0:
		return credentialGood
	case scheme == "":
		return credentialNone
	case strings.EqualFold(scheme, "Splunk"), strings.EqualFold(scheme, "Bearer"):
	case strings.EqualFold(scheme, "Basic"), strings.EqualFold(scheme, "ApiKey"):
		text, err := base64.StdEncoding.DecodeString(rest)
		_, password, ok := strings.Cut(string(text), ":")
		if err != nil || !ok {
			return credentialUnknown
		}
		rest = password
	default:
		return credentialUnknown
	}
	switch {
	case rest == "":
		return credentialNone
	case !t.has(rest):
		return credentialWrong
	}
	return credentialGood
}
