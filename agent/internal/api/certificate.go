package api

import (
	"crypto/tls"
	"sync"

	"github.com/adrian207/siemd/agent/internal/config"
)

// A certificate is the API's own. A changed file makes the agent reload its
// config, and after each reload it is read again: connections that are open stay.
type certificate struct {
	files   config.ServerTLS
	running func() *config.Config

	mu   sync.Mutex     // guards the rest
	of   *config.Config // that ran when it was read
	pair *tls.Certificate
}

// get is for tls.Config. It returns an error only if the files were never read
// successfully: one that cannot be used any more leaves the old one in force.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	running := c.running()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == running && c.pair != nil {
		return c.pair, nil
	}
	pair, err := tls.LoadX509KeyPair(c.files.CertFile, c.files.KeyFile)
	if err == nil {
		c.pair, c.of = &pair, running
	}
	if c.pair != nil {
		err = nil
	}
	return c.pair, err
}
