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
	"path/filepath"
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

// tokens knows callers by the digest of their token: the tokens themselves are
// not kept, and the comparison takes the same time whatever is sent.
type tokens struct {
	known []knownToken
}

type knownToken struct {
	digest [sha256.Size]byte
	name   string
	scope  scope
}

func loadTokens(cfg *config.Config) (*tokens, error) {
	own, err := ownToken(filepath.Join(cfg.DataDir, TokenName))
	if err != nil {
		return nil, err
	}
	t := &tokens{known: []knownToken{{sha256.Sum256([]byte(own)), TokenName, scopeWrite}}}
	for _, c := range cfg.API.Tokens {
		s := scopeRead
		if c.Scope == "write" {
			s = scopeWrite
		}
		t.known = append(t.known, knownToken{sha256.Sum256([]byte(c.Token.Reveal())), c.Name, s})
	}
	return t, nil
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
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, []byte(token+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("make api token: %w", err)
	}
	return token, os.Rename(tmp, path)
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
