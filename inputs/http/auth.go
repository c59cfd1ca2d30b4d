package http

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/adrian207/siemd/agent"
	cjson "github.com/adrian207/siemd/codecs/json"
)

// tokens are those that are accepted, as hashes: all of the same length, so
// that comparing takes the same time for any two texts.
type tokens []token

type token struct {
	sum    [sha256.Size]byte
	fields []agent.Field // what events get that come with it
}

func newTokens(c Config) tokens {
	var list tokens
	for _, given := range c.Tokens {
		t := token{sum: sha256.Sum256([]byte(given.Token.Reveal()))}
		if c.TokenField != "" && given.Name != "" {
			member := append(cjson.AppendString(nil, c.TokenField), ':')
			t.fields = []agent.Field{{Name: c.TokenField, Member: cjson.AppendString(member, given.Name)}}
		}
		list = append(list, t)
	}
	return list
}

// find is the token that text is, or nil. It compares with every one, whether
// one fits or not.
func (t tokens) find(text string) *token {
	sum := sha256.Sum256([]byte(text))
	found := -1
	for i := range t {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], t[i].sum[:]), i, found)
	}
	if found < 0 {
		return nil
	}
	return &t[found]
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
// with the token as password, ApiKey with base64 of id:token. A good one's
// fields are rw's from then on.
func (t tokens) check(rw *answer, h http.Header) credential {
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
	if rest == "" {
		return credentialNone
	}
	known := t.find(rest)
	if known == nil {
		return credentialWrong
	}
	rw.fields = known.fields
	return credentialGood
}
