package delivery

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
)

func TestHintsNameTheFix(t *testing.T) {
	answered := func(status int) error {
		return agent.Blocked(fmt.Errorf("bulk: %w", &agent.AnswerError{Endpoint: "https://siem", Status: status, Answer: "no"}))
	}
	for want, err := range map[string]error{
		"credentials":       answered(401),
		"role":              answered(403),
		"index":             answered(404),
		"proxy":             answered(407),
		"max_bytes":         answered(413),
		"rate_limit":        answered(429),
		"in trouble":        answered(503),
		"failed events":     agent.Permanent(&agent.AnswerError{Status: 400}),
		"are held":          answered(400),
		"whatever events":   &agent.AnswerError{Status: 409},
		"compression":       answered(415),
		"recovers":          &agent.AnswerError{Status: 408},
		"speak HTTP":        errors.New(`malformed HTTP status code "smtp"`),
		"as its maker says": agent.Blocked(&agent.AnswerError{Status: 400, Fix: "as its maker says"}),
		"also without":      agent.Blocked(&agent.AnswerError{Fix: "also without a status"}),
		"not followed":      answered(302),
		"login page":        answered(200),
		"resolver":          &net.DNSError{Err: "no such host", Name: "siem", IsNotFound: true},
		"nothing listens":   &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED},
		"no way there":      syscall.EHOSTUNREACH,
		"in time":           fmt.Errorf("write: %w", context.DeadlineExceeded),
		"cut the":           fmt.Errorf("read: %w", io.EOF),
		"ca_file":           fmt.Errorf("tls: %w", x509.UnknownAuthorityError{}),
		"server_name":       fmt.Errorf("tls: %w", x509.HostnameError{Certificate: &x509.Certificate{}, Host: "siem"}),
		"expired":           fmt.Errorf("tls: %w", x509.CertificateInvalidError{Reason: x509.Expired}),
		"does not speak":    fmt.Errorf("tls: %w", tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}),
		"cert_file":         agent.Blocked(&net.OpError{Op: "remote error", Err: tls.AlertError(48)}),
		"tls.min_version":   agent.Blocked(&net.OpError{Op: "remote error", Err: tls.AlertError(70)}),
		"check index, type": fmt.Errorf("%w: %w", errGuard, answered(400)),
	} {
		if got := hintOf(err); !strings.Contains(got, want) {
			t.Errorf("hint of %v = %q, want something about %q", err, got, want)
		}
	}
	if got := hintOf(errors.New("what nobody has seen before")); got != "" {
		t.Errorf("hint of the unknown = %q", got)
	}
}

func TestHintStaysWithItsError(t *testing.T) {
	var h Health
	h = h.next(observation{kind: seenBlocked, cause: &agent.AnswerError{Status: 401}}, time.Unix(1, 0))
	if !strings.Contains(h.Hint, "credentials") || h.LastError == "" {
		t.Errorf("after a 401: %+v", h)
	}
	if h = h.next(observation{kind: seenTaken}, time.Unix(2, 0)); h.Hint == "" || h.LastError == "" {
		t.Errorf("the last error is forgotten after a success: %+v", h)
	}
	if h = h.next(observation{kind: seenFailure, cause: errors.New("odd")}, time.Unix(3, 0)); h.Hint != "" || h.LastError != "odd" {
		t.Errorf("the hint of an older error stays: %+v", h)
	}
}
