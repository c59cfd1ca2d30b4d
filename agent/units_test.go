package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
)

func TestDuration(t *testing.T) {
	f := func(text string, want time.Duration, printed string) {
		t.Helper()
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || d.D() != want || d.String() != printed {
			t.Errorf("%s = %v, %v printed %s, want %v printed %s", text, d.D(), err, d, want, printed)
		}
	}
	f("10s", 10*time.Second, "10s")
	f("90s", 90*time.Second, "1m30s")
	f("5m", 5*time.Minute, "5m")
	f("2h", 2*time.Hour, "2h")
	f("30d", 30*24*time.Hour, "30d")
	f("0.5d", 12*time.Hour, "12h")
	f("0", 0, "0s")
	for _, bad := range []string{"", "5", "5x", "-1s", "-1d", "d", "1e9d"} {
		if err := new(Duration).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestBytes(t *testing.T) {
	f := func(text string, want Bytes, printed string) {
		t.Helper()
		var b Bytes
		if err := b.UnmarshalText([]byte(text)); err != nil || b != want || b.String() != printed {
			t.Errorf("%s = %d, %v printed %s, want %d printed %s", text, b, err, b, want, printed)
		}
	}
	f("64KiB", 64<<10, "64KiB")
	f("1MB", 1e6, "1MB")
	f("4 GiB", 4<<30, "4GiB")
	f("1.5KiB", 1536, "1536B")
	f("0", 0, "0B")
	for _, bad := range []string{"", "5", "5X", "-1B", "MB", "1e30TiB", "NaNB"} {
		if err := new(Bytes).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	for b, want := range map[Bytes]string{0: "0 B", 999: "999 B", 1536: "1.5 KiB", 5 << 30: "5.0 GiB", 200 << 20: "200 MiB"} {
		if got := b.Short(); got != want {
			t.Errorf("%d.Short() = %q, want %q", b, got, want)
		}
	}
}

func TestPortion(t *testing.T) {
	f := func(text string, want int64) {
		t.Helper()
		var p Portion
		if err := p.UnmarshalText([]byte(text)); err != nil || p.Of(1000) != want || p.String() != text {
			t.Errorf("%s of 1000 = %d, %v printed %s, want %d", text, p.Of(1000), err, p, want)
		}
	}
	f("5%", 50)
	f("0.5%", 5)
	f("2KiB", 2048)
	for _, bad := range []string{"", "5", "101%", "-1%", "x%", "NaN%"} {
		if err := new(Portion).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestSecretIsNeverPrinted(t *testing.T) {
	s := NewSecret("hunter2")
	var b strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		fmt.Fprintf(&b, verb+"\n", s)
		fmt.Fprintf(&b, verb+"\n", struct{ S Secret }{s})
		fmt.Fprintf(&b, verb+"\n", &s)
	}
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "secret", s, "in", []Secret{s})
	if err := json.NewEncoder(&b).Encode(map[string]any{"s": s, "p": &s}); err != nil {
		t.Fatal(err)
	}
	y, err := yaml.Marshal(map[string]any{"s": s})
	if err != nil {
		t.Fatal(err)
	}
	b.Write(y)
	if strings.Contains(b.String(), "hunter2") {
		t.Errorf("printed:\n%s", b.String())
	}
	if s.Reveal() != "hunter2" || !s.Equal("hunter2") || s.Equal("hunter3") || s.IsZero() {
		t.Error("the secret is not what it was made of")
	}
}

func TestSeverity(t *testing.T) {
	f := func(text string, want Severity, ok bool) {
		t.Helper()
		if got, known := ParseSeverity([]byte(text)); got != want || known != ok {
			t.Errorf("ParseSeverity(%q) = %v, %v", text, got, known)
		}
	}
	f("HIGH", High, true)
	f("Very-High", Critical, true)
	f("notice", Informational, true)
	f("", Unset, false)
	f("a word that is longer than any", Unset, false)
	if allocs := testing.AllocsPerRun(100, func() { ParseSeverity([]byte("Warning")) }); allocs > 0 {
		t.Errorf("ParseSeverity allocates %v times", allocs)
	}
	var s Severity
	if err := s.UnmarshalText([]byte("warn")); err == nil {
		t.Error("a config took an alias")
	}
}

func TestErrorWords(t *testing.T) {
	cause := io.ErrUnexpectedEOF
	type words struct{ permanent, suspect, large, blocked, after bool }
	f := func(err error, want words) {
		t.Helper()
		_, after := RetryAfter(err)
		got := words{IsPermanent(err), IsSuspect(err), IsTooLarge(err), IsBlocked(err), after}
		if got != want || !errors.Is(err, cause) {
			t.Errorf("%v has the words %+v, want %+v", err, got, want)
		}
	}
	f(cause, words{})
	f(Permanent(cause), words{permanent: true})
	f(fmt.Errorf("post: %w", Suspect(cause)), words{suspect: true})
	f(TooLarge(cause), words{large: true})
	f(Blocked(cause), words{blocked: true})
	f(After(time.Second, cause), words{after: true})
	f(Permanent(Blocked(cause)), words{permanent: true}) // the outermost counts
	for _, err := range []error{Permanent(nil), Suspect(nil), TooLarge(nil), Blocked(nil), After(1, nil)} {
		if err != nil {
			t.Errorf("a word made an error of nil: %v", err)
		}
	}
	if d, _ := RetryAfter(After(-1, cause)); d != 0 {
		t.Errorf("a wait of %v", d)
	}
}
