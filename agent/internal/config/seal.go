package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"
)

// CredentialName is the systemd credential that holds the key for sealed
// secrets, if there is one: an age identity, as age-keygen prints it. Else the
// key is in a file of its own.
const CredentialName = "siemd.connections.key"

const (
	keyFile      = "key"
	secretSuffix = ".secret"
	maxSealed    = 1 << 20 // no connection has that many secrets
)

// keys are what secrets may be sealed with; new ones are sealed with the first.
type keys []key

type key struct {
	age.Identity
	to age.Recipient
}

// openKeys finds the credential and the key file, whichever there are. The
// error says which of them cannot be used; the keys are the others.
func openKeys(dataDir string) (keys, error) {
	var ks keys
	var errs []error
	add := func(path string) {
		text, err := readSecret(path)
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err == nil {
			var more keys
			more, err = parseKeys(text)
			ks = append(ks, more...)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("the key in %s: %w", path, err))
		}
	}
	if dir := os.Getenv("CREDENTIALS_DIRECTORY"); dir != "" {
		add(filepath.Join(dir, CredentialName))
	}
	add(filepath.Join(dataDir, ConnectionsDir, keyFile))
	return ks, errors.Join(errs...)
}

// parseKeys reads age identities, one a line, with comments.
func parseKeys(text string) (keys, error) {
	ids, err := age.ParseIdentities(strings.NewReader(text))
	if err != nil {
		// The parser's error may quote the key.
		return nil, errors.New("it holds no age identity (AGE-SECRET-KEY-1...); age-keygen makes one")
	}
	ks := make(keys, 0, len(ids))
	for _, id := range ids {
		switch x := id.(type) {
		case *age.X25519Identity:
			ks = append(ks, key{x, x.Recipient()})
		case *age.HybridIdentity:
			ks = append(ks, key{x, x.Recipient()})
		default:
			return nil, fmt.Errorf("identities of type %T cannot be used here", id)
		}
	}
	return ks, nil
}

// newKey makes the key file, mode 0600.
func newKey(path string) error {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	return WriteFile(path, []byte(id.String()+"\n"))
}

// sealed is what an encrypted file holds. It names its connection, so that one
// copied over another's is of no use.
type sealed struct {
	Connection string            `json:"connection"`
	Secrets    map[string]string `json:"secrets"`
}

// seal encrypts secrets for the connection id only.
func (ks keys) seal(secrets map[string]string, id string) ([]byte, error) {
	if len(ks) == 0 {
		return nil, errors.New("there is no key")
	}
	plain, err := json.Marshal(sealed{id, secrets})
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w, err := age.Encrypt(&b, ks[0].to)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// open decrypts a sealed file.
func (ks keys) open(path, id string) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if len(ks) == 0 {
		return nil, errors.New("there is no key")
	}
	ids := make([]age.Identity, len(ks))
	for i, k := range ks {
		ids[i] = k
	}
	var noMatch *age.NoIdentityMatchError
	r, err := age.Decrypt(io.LimitReader(f, maxSealed), ids...)
	switch {
	case errors.As(err, &noMatch):
		return nil, errors.New("the key does not fit")
	case err != nil:
		return nil, errors.New("the file is damaged")
	}
	plain, err := io.ReadAll(r)
	var s sealed
	if err != nil || json.Unmarshal(plain, &s) != nil {
		return nil, errors.New("the file is damaged")
	}
	if s.Connection != id {
		return nil, errors.New("the file belongs to another connection")
	}
	return s.Secrets, nil
}
