package api

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/adrian207/siemd/agent/internal/config"
)

// certificates serve TLS as the config that runs says: a reload changes
// certificate and authorities for the connections that come after it.
type certificates struct {
	current func() *config.Config

	mu   sync.Mutex // guards the rest
	of   *config.Config
	last *tls.Config
}

// serverTLS is the listener's config.
func (s *Server) serverTLS(cfg *config.Config) (*tls.Config, error) {
	c := &certificates{current: s.agent.Config, of: cfg}
	var err error
	if c.last, err = readTLS(cfg.API.TLS); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		next, err := c.config()
		if err != nil {
			s.log.Warn("api.tls cannot be read, the one before serves on", "err", err)
		}
		return next, nil
	}}, nil
}

// config is the present one. After an error, told once, it is the one before.
func (c *certificates) config() (*tls.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cfg := c.current()
	if cfg == c.of || cfg.API.TLS.CertFile == "" {
		return c.last, nil
	}
	c.of = cfg
	next, err := readTLS(cfg.API.TLS)
	if err == nil {
		c.last = next
	}
	return c.last, err
}

func readTLS(t config.ServerTLS) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("api.tls: %w", err)
	}
	// A resumed session would skip the look at the client's certificate, which may no longer be good.
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}, SessionTicketsDisabled: true}
	if t.ClientCAFile == "" {
		return c, nil
	}
	pem, err := os.ReadFile(t.ClientCAFile)
	if err != nil {
		return nil, fmt.Errorf("api.tls: %w", err)
	}
	c.ClientCAs, c.ClientAuth = x509.NewCertPool(), tls.VerifyClientCertIfGiven
	if !c.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New("api.tls: there is no certificate in " + t.ClientCAFile)
	}
	return c, nil
}

// holder is the client whose certificate was verified on the connection.
func holder(clients []config.APIClient, state *tls.ConnectionState) (string, scope) {
	if state == nil || len(state.VerifiedChains) == 0 {
		return "", scopeNone
	}
	names := namesOf(state.PeerCertificates[0])
	for _, c := range clients {
		if slices.Contains(names, c.Certificate) {
			if c.Scope == "write" {
				return c.Name, scopeWrite
			}
			return c.Name, scopeRead
		}
	}
	return "", scopeNone
}

// namesOf are the names of a certificate as api.clients writes them.
func namesOf(c *x509.Certificate) []string {
	sum := sha256.Sum256(c.Raw)
	names := []string{"sha256:" + hex.EncodeToString(sum[:]), "cn:" + c.Subject.CommonName}
	for _, n := range c.DNSNames {
		names = append(names, "dns:"+n)
	}
	for _, n := range c.EmailAddresses {
		names = append(names, "email:"+n)
	}
	for _, n := range c.URIs {
		names = append(names, "uri:"+n.String())
	}
	return names
}
