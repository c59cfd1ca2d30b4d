package agent

import (
	"crypto/subtle"
	"log/slog"
)

// Secret is a password, token or key. It cannot be printed: every way that Go
// has to turn a value into text gives "***". The only way in is Reveal.
type Secret struct{ s string }

// NewSecret makes a Secret of s.
func NewSecret(s string) Secret { return Secret{s} }

// Reveal is the secret itself, for the one place that must send it.
func (s Secret) Reveal() string { return s.s }

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.s == "" }

// Equal compares in constant time, but for the length.
func (s Secret) Equal(text string) bool {
	return subtle.ConstantTimeCompare([]byte(s.s), []byte(text)) == 1
}

const hidden = "***"

func (s Secret) String() string   { return hidden }
func (s Secret) GoString() string { return hidden }

// LogValue hides the secret from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides the secret from encoders of JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// UnmarshalText takes the secret from a config.
func (s *Secret) UnmarshalText(text []byte) error {
	s.s = string(text)
	return nil
}
