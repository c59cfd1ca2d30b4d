package httpx

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/adrian207/siemd/agent"
)

// TLS is the tls key of an output. The syslog family uses it too.
type TLS struct {
	CAFile     string `yaml:"ca_file" file:"certificate" doc:"PEM file with the authorities to trust, instead of the system's." example:"/etc/siemd/siem-ca.pem"`
	CertFile   string `yaml:"cert_file" file:"certificate" doc:"PEM file with the client certificate and its chain." example:"/etc/siemd/client.pem"`
	KeyFile    string `yaml:"key_file" file:"key" doc:"PEM file with the client certificate's private key." example:"/etc/siemd/client.key"`
	ServerName string `yaml:"server_name" doc:"Name that the server's certificate must bear; default: the endpoint's host." example:"splunk.example.com"`
	Verify     bool   `yaml:"verify" doc:"Check the server's certificate; false accepts any, and with it any eavesdropper."`
	MinVersion string `yaml:"min_version" oneof:"1.2|1.3" doc:"Lowest TLS version to speak."`
}

// DefaultTLS belongs into the defaults of every output that has the tls key.
var DefaultTLS = TLS{Verify: true, MinVersion: "1.2"}

// Validate reports keys that do not fit together. It reads no file: the keys
// of its errors begin with "tls.", for the config that t is part of.
func (t TLS) Validate() error {
	var errs []error
	if t.CertFile != "" && t.KeyFile == "" {
		errs = append(errs, &agent.KeyError{Key: "tls.cert_file", Message: "a client certificate needs its private key", Hint: "add key_file"})
	}
	if t.KeyFile != "" && t.CertFile == "" {
		errs = append(errs, &agent.KeyError{Key: "tls.key_file", Message: "a private key needs its certificate", Hint: "add cert_file"})
	}
	if t.CAFile != "" && !t.Verify {
		errs = append(errs, &agent.KeyError{Key: "tls.verify", Message: "ca_file has no effect while verify is false", Hint: "remove verify: false"})
	}
	return errors.Join(errs...)
}

// Build makes the client's config for connections to host, a name or an IP
// address without port. The named files must be readable now; afterwards each
// handshake uses what they hold then, so a rotated certificate or authority is
// picked up without a restart. While a changed file cannot be used (half
// written, key and certificate not of one pair), what was read before stays.
//
// A handshake with a server that cannot be verified fails with an error that
// wraps *tls.CertificateVerificationError. The config may be cloned.
func (t TLS) Build(host string) (*tls.Config, error) {
	name := t.ServerName
	if name == "" {
		name = host
	}
	c := &tls.Config{ServerName: name, MinVersion: tls.VersionTLS12}
	if t.MinVersion == "1.3" {
		c.MinVersion = tls.VersionTLS13
	}
	switch {
	case !t.Verify:
		c.InsecureSkipVerify = true
	case t.CAFile != "":
		roots := &fileCache[*x509.CertPool]{paths: []string{t.CAFile}, parse: parseRoots}
		if _, err := roots.get(); err != nil {
			return nil, err
		}
		// RootCAs cannot change after the first handshake, so the standard
		// check is switched off and made here in full. The name is our own:
		// the connection's state has none if host is an IP address.
		c.InsecureSkipVerify = true
		c.VerifyConnection = func(cs tls.ConnectionState) error {
			pool, err := roots.get()
			if err != nil {
				return err
			}
			return verify(cs.PeerCertificates, pool, name)
		}
	}
	if t.CertFile != "" {
		pair := &fileCache[*tls.Certificate]{paths: []string{t.CertFile, t.KeyFile}, parse: parsePair}
		if _, err := pair.get(); err != nil {
			return nil, err
		}
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair.get() }
	}
	return c, nil
}

// verify is what crypto/tls does with the chain of a server.
func verify(chain []*x509.Certificate, roots *x509.CertPool, name string) error {
	if len(chain) == 0 {
		return errors.New("the server sent no certificate")
	}
	opts := x509.VerifyOptions{Roots: roots, DNSName: name, Intermediates: x509.NewCertPool()}
	for _, c := range chain[1:] {
		opts.Intermediates.AddCert(c)
	}
	if _, err := chain[0].Verify(opts); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: chain, Err: err}
	}
	return nil
}

// IsTLS reports whether err, from a dial, a handshake or a request, is about
// TLS itself: an unverified certificate, a refused client certificate, no
// common version, or a peer that does not speak it. A person must mend that; a
// connection that broke during the handshake is something else.
func IsTLS(err error) bool {
	var verification *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var op *net.OpError
	switch {
	case errors.As(err, &verification), errors.As(err, &record):
		return true
	case errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error"):
		return true // an alert, of the peer or of our own
	}
	return err != nil && strings.Contains(err.Error(), "tls: ") ||
		err != nil && strings.Contains(err.Error(), "server gave HTTP response to HTTPS client")
}

func parseRoots(path []string, data [][]byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data[0]) {
		return nil, fmt.Errorf("ca_file %s holds no PEM certificate", path[0])
	}
	return pool, nil
}

func parsePair(path []string, data [][]byte) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(data[0], data[1])
	if err != nil {
		return nil, fmt.Errorf("cert_file %s with key_file %s: %w", path[0], path[1], err)
	}
	return &pair, nil
}

// fileCache holds what parse made of some files and reads them again when one
// of them has changed.
type fileCache[T any] struct {
	paths []string
	parse func(paths []string, data [][]byte) (T, error)

	mu     sync.Mutex // guards the rest
	stamps []stamp
	value  T
	loaded bool
}

// A stamp changes when the file does.
type stamp struct {
	modified, size int64
}

// young reports whether the file changed less than a second ago, the coarsest
// tick of a file system's clock that is met with.
func (s stamp) young() bool { return time.Now().UnixNano()-s.modified < int64(time.Second) }

// get returns an error only if the files were never read successfully.
func (f *fileCache[T]) get() (T, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	stamps, err := stampsOf(f.paths)
	if f.loaded && (err != nil || slices.Equal(stamps, f.stamps)) {
		return f.value, nil
	}
	if err != nil {
		return f.value, err
	}
	data := make([][]byte, len(f.paths))
	for i, path := range f.paths {
		if data[i], err = os.ReadFile(path); err != nil {
			return f.kept(err)
		}
	}
	value, err := f.parse(f.paths, data)
	if err != nil {
		return f.kept(err)
	}
	// The stamps were taken before the files were read: a write in between
	// makes them look old, and the next call reads once more. So it does while a
	// file is so young that another write would leave it the same stamp.
	f.value, f.stamps, f.loaded = value, stamps, true
	if slices.ContainsFunc(stamps, stamp.young) {
		f.stamps = nil
	}
	return f.value, nil
}

func (f *fileCache[T]) kept(err error) (T, error) {
	if f.loaded {
		err = nil
	}
	return f.value, err
}

func stampsOf(paths []string) ([]stamp, error) {
	out := make([]stamp, len(paths))
	for i, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		out[i] = stamp{info.ModTime().UnixNano(), info.Size()}
	}
	return out, nil
}
