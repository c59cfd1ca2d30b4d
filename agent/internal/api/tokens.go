package api

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strings"

	"github.com/adrian207/siemd/agent/internal/config"
)

// TokenName is the file below data_dir with the token that may write.
const TokenName = "api.token"

// scope is what a caller may do.
type scope int

const (
	scopeNone scope = iota
	scopeRead
	scopeWrite
)

func (s scope) String() string { return [...]string{"none", "read", "write"}[s] }

// tokens knows callers by the digest of their token: the tokens themselves are
// not kept, and the comparison takes the same time whatever is sent.
type tokens struct {
	of    *config.Config
	known []knownToken
}

type knownToken struct {
	digest [sha256.Size]byte
	name   string
	scope  scope
}

// callers are the tokens of the config that runs.
func (s *Server) callers() *tokens {
	cfg := s.agent.Config()
	if t := s.known.Load(); t != nil && t.of == cfg {
		return t
	}
	t := &tokens{of: cfg, known: []knownToken{{sha256.Sum256([]byte(s.own)), TokenName, scopeWrite}}}
	for _, c := range cfg.API.Tokens {
		may := scopeRead
		if c.Scope == "write" {
			may = scopeWrite
		}
		t.known = append(t.known, knownToken{sha256.Sum256([]byte(c.Token.Reveal())), c.Name, may})
	}
	s.known.Store(t)
	return t
}

// ownToken reads the agent's own token, or makes it on the first start.
func ownToken(path string) (string, error) {
	data, err := os.ReadFile(path)
	if token := strings.TrimSpace(string(data)); err == nil && token != "" {
		return token, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	var raw [24]byte
	rand.Read(raw[:]) // never fails: see crypto/rand
	token := hex.EncodeToString(raw[:])
	if err := config.WriteFile(path, []byte(token+"\n")); err != nil {
		return "", fmt.Errorf("make api token: %w", err)
	}
	return token, nil
}

// caller tells who sent r: the name for the audit log and the scope.
func (t *tokens) caller(r *http.Request) (string, scope) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") {
		return "", scopeNone
	}
	digest := sha256.Sum256([]byte(strings.TrimSpace(token)))
	name, s := "", scopeNone
	for i := range t.known {
		if subtle.ConstantTimeCompare(digest[:], t.known[i].digest[:]) == 1 {
			name, s = t.known[i].name, t.known[i].scope
		}
	}
	return name, s
}
