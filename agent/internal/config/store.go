package config

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// CredentialName is the systemd credential that the key for sealed secrets is
// made from, if there is one. Else it is in a file of its own.
const CredentialName = "siemd.connections.key"

const (
	keyFile      = "key"
	secretSuffix = ".secret"
	sealedHead   = "siemd sealed 1\n"
)

// Store writes API-made connections. One agent has one; its methods are called
// by one goroutine at a time.
type Store struct {
	dir  string
	keys keys
}

// OpenStore makes the directory and, on the first start, the key. It removes
// sealed files that a crash has left without a connection.
func OpenStore(dataDir string) (*Store, error) {
	s := &Store{dir: filepath.Join(dataDir, ConnectionsDir), keys: openKeys(dataDir)}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	if len(s.keys) == 0 {
		raw := make([]byte, 32)
		rand.Read(raw) // never fails: see crypto/rand
		if err := WriteFile(filepath.Join(s.dir, keyFile), []byte(base64.StdEncoding.EncodeToString(raw)+"\n")); err != nil {
			return nil, fmt.Errorf("make the key for secrets: %w", err)
		}
		s.keys = openKeys(dataDir)
	}
	if len(s.keys) == 0 {
		return nil, fmt.Errorf("%s holds no key", filepath.Join(s.dir, keyFile))
	}
	sealed, err := filepath.Glob(filepath.Join(s.dir, "*"+secretSuffix))
	if err != nil {
		return nil, err
	}
	for _, path := range sealed {
		if id, generation, ok := s.parse(path); ok && !s.refers(id, generation) {
			if err := os.Remove(path); err != nil {
				return nil, err
			}
		}
	}
	return s, nil
}

// parse takes apart the name of a sealed file.
func (s *Store) parse(path string) (id, generation string, ok bool) {
	base := strings.TrimSuffix(filepath.Base(path), secretSuffix)
	at := strings.LastIndexByte(base, '.')
	if at < 0 {
		return "", "", false
	}
	return base[:at], base[at+1:], true
}

// refers reports whether the connection's file names that generation of secrets.
// One that cannot be read may.
func (s *Store) refers(id, generation string) bool {
	data, err := os.ReadFile(filepath.Join(s.dir, id+".yaml"))
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	return strings.Contains(string(data), "secrets: "+generation)
}

// Write makes ch last. The connection's file names the sealed one, so renaming
// it into place changes both at once. After an error all is as it was.
func (s *Store) Write(ch Change, generation string) error {
	path := filepath.Join(s.dir, ch.ID+".yaml")
	if ch.Data == nil {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := SyncDir(s.dir); err != nil {
			return err
		}
		s.sweep(ch.ID, "")
		return nil
	}
	sealed := filepath.Join(s.dir, secretName(ch.ID, generation))
	if generation != "" {
		data, err := s.keys.seal(ch.Secrets, ch.ID)
		if err == nil {
			err = WriteFile(sealed, data)
		}
		if err != nil {
			return err
		}
	}
	if err := WriteFile(path, ch.Data); err != nil {
		if generation != "" {
			err = errors.Join(err, os.Remove(sealed))
		}
		return err
	}
	s.sweep(ch.ID, generation)
	return nil
}

// sweep removes sealed files of id but the given generation. What is left over is found at the next start.
func (s *Store) sweep(id, keep string) {
	old, _ := filepath.Glob(filepath.Join(s.dir, id+".*"+secretSuffix))
	for _, path := range old {
		if of, generation, ok := s.parse(path); ok && of == id && generation != keep {
			_ = os.Remove(path)
		}
	}
}

func secretName(id, generation string) string { return id + "." + generation + secretSuffix }

// keys are what secrets may be sealed with; new ones are sealed with the first.
type keys []cipher.AEAD

// openKeys finds the credential and the key file, whichever there are.
func openKeys(dataDir string) keys {
	var ks keys
	add := func(path string) {
		material, err := readSecret(path)
		if err != nil || material == "" {
			return // opening what was sealed with it will fail, and says so
		}
		key, err := hkdf.Key(sha256.New, []byte(material), nil, "siemd connection secrets", 32)
		if err != nil {
			return
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return
		}
		if aead, err := cipher.NewGCMWithRandomNonce(block); err == nil {
			ks = append(ks, aead)
		}
	}
	if dir := os.Getenv("CREDENTIALS_DIRECTORY"); dir != "" {
		add(filepath.Join(dir, CredentialName))
	}
	add(filepath.Join(dataDir, ConnectionsDir, keyFile))
	return ks
}

// seal encrypts secrets for the connection id only.
func (ks keys) seal(secrets map[string]string, id string) ([]byte, error) {
	plain, err := json.Marshal(secrets)
	if err != nil {
		return nil, err
	}
	sealed := ks[0].Seal(nil, nil, plain, []byte("siemd connection "+id))
	return []byte(sealedHead + base64.StdEncoding.EncodeToString(sealed) + "\n"), nil
}

// open decrypts a sealed file.
func (ks keys) open(path, id string) (map[string]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	text, ok := strings.CutPrefix(string(data), sealedHead)
	if !ok {
		return nil, errors.New("the file is not one of siemd's")
	}
	sealed, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil {
		return nil, errors.New("the file is damaged")
	}
	for _, k := range ks {
		plain, err := k.Open(nil, nil, sealed, []byte("siemd connection "+id))
		if err != nil {
			continue
		}
		var secrets map[string]string
		if err := json.Unmarshal(plain, &secrets); err != nil {
			return nil, errors.New("the file is damaged")
		}
		return secrets, nil
	}
	return nil, errors.New("the key does not fit, or the file is damaged")
}
