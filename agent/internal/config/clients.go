package config

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/adrian207/siemd/agent"
)

// checkClients checks api.clients; names are those of tokens.
func (a *API) checkClients(names map[string]bool) (errs []error) {
	bad := func(key, hint, format string, args ...any) {
		errs = append(errs, &agent.KeyError{Key: key, Message: fmt.Sprintf(format, args...), Hint: hint})
	}
	if a.TLS.ClientCAFile != "" && a.TLS.CertFile == "" {
		bad("api.tls.client_ca_file", "add cert_file and key_file", "client certificates need cert_file and key_file")
	}
	if a.TLS.ClientCAFile != "" && len(a.Clients) == 0 {
		bad("api.tls.client_ca_file", "api.clients: [{name: prometheus, certificate: dns:prometheus.example.com, scope: read}]", "nobody may do anything with a client certificate: there are no api.clients")
	}
	if a.TLS.ClientCAFile == "" && len(a.Clients) > 0 {
		bad("api.clients", "set api.tls.client_ca_file", "client certificates cannot be checked without their authorities")
	}
	certificates := map[string]bool{}
	for i := range a.Clients {
		c := &a.Clients[i]
		if c.Scope == "" {
			c.Scope = "read"
		}
		if names[c.Name] {
			bad("api.clients", "the audit log tells them apart by their names", "two of tokens and clients are called %q", c.Name)
		}
		names[c.Name] = true
		kind, name, ok := strings.Cut(c.Certificate, ":")
		switch {
		case !ok || name == "":
			bad("api.clients", "dns:prometheus.example.com", "%q does not say which name of a certificate it means", c.Certificate)
		case kind == "sha256":
			sum, err := hex.DecodeString(strings.ReplaceAll(name, ":", ""))
			if err != nil || len(sum) != 32 {
				bad("api.clients", "openssl x509 -noout -fingerprint -sha256 -in FILE", "%q is not the SHA-256 fingerprint of a certificate", name)
			}
			c.Certificate = "sha256:" + hex.EncodeToString(sum)
		case kind != "dns" && kind != "uri" && kind != "email" && kind != "cn":
			bad("api.clients", "dns:, uri:, email:, cn: or sha256:", "%q is no kind of name that certificates have", kind)
		}
		if certificates[c.Certificate] {
			bad("api.clients", "name each certificate once", "%q is there twice", c.Certificate)
		}
		certificates[c.Certificate] = true
	}
	return errs
}
