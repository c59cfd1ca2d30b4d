package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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
	dir := filepath.Join(dataDir, ConnectionsDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	ks, err := openKeys(dataDir)
	if err == nil && len(ks) == 0 {
		if err := newKey(filepath.Join(dir, keyFile)); err != nil {
			return nil, fmt.Errorf("make the key for secrets: %w", err)
		}
		ks, err = openKeys(dataDir)
	}
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir, keys: ks}
	sealed, err := list(s.dir, secretSuffix)
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
	old, _ := list(s.dir, secretSuffix)
	for _, path := range old {
		if of, generation, ok := s.parse(path); ok && of == id && generation != keep {
			_ = os.Remove(path)
		}
	}
}

func secretName(id, generation string) string { return id + "." + generation + secretSuffix }
