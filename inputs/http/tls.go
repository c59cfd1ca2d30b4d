package http

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// recheck is how often, at most, the files are looked at for a change.
const recheck = 10 * time.Second

// load is the server's config, or nil without TLS. The files are read again
// when they change; a pair that does not fit together yet, because one of them
// is being replaced, leaves the old one in force.
func (t TLS) load() (*tls.Config, error) {
	if !t.enabled() {
		return nil, nil
	}
	f := &files{t: t, now: time.Now}
	var err error
	if f.config, err = t.read(); err != nil {
		return nil, err
	}
	f.stamp, f.checked = f.stamps(), f.now()
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: f.current}, nil
}

func (t TLS) read() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}
	if t.ClientCAFile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(t.ClientCAFile)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	config.ClientCAs, config.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !config.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New("tls: there is no certificate in " + t.ClientCAFile)
	}
	return config, nil
}

// files are the config that was read last.
type files struct {
	t   TLS
	now func() time.Time

	mu      sync.Mutex // guards the rest
	config  *tls.Config
	stamp   [3]stamp
	checked time.Time
}

type stamp struct {
	time time.Time
	size int64
}

func (f *files) stamps() (s [3]stamp) {
	for i, name := range []string{f.t.CertFile, f.t.KeyFile, f.t.ClientCAFile} {
		if info, err := os.Stat(name); err == nil {
			s[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	return s
}

func (f *files) current(*tls.ClientHelloInfo) (*tls.Config, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now().Sub(f.checked) < recheck {
		return f.config, nil
	}
	f.checked = f.now()
	if s := f.stamps(); s != f.stamp {
		if config, err := f.t.read(); err == nil {
			f.config, f.stamp = config, s
		}
	}
	return f.config, nil
}
