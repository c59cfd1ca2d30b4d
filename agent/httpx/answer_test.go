package httpx

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/adrian207/siemd/agent"
)

func word(err error) string {
	switch d, after := agent.RetryAfter(err); {
	case err == nil:
		return "ok"
	case agent.IsPermanent(err):
		return "permanent"
	case agent.IsSuspect(err):
		return "suspect"
	case agent.IsTooLarge(err):
		return "too large"
	case agent.IsBlocked(err):
		return "blocked"
	case after:
		return "after " + d.String()
	}
	return "retry"
}

func TestWord(t *testing.T) {
	f := func(status int, wait time.Duration, want string) {
		t.Helper()
		if got := word(Word(status, wait, errors.New("x"))); got != want {
			t.Errorf("Word(%d, %v) = %s, want %s", status, wait, got, want)
		}
	}
	for status, want := range map[int]string{
		200: "retry", 204: "retry", 301: "blocked", 307: "blocked", 304: "blocked",
		400: "permanent", 401: "blocked", 402: "blocked", 403: "blocked", 404: "blocked", 405: "blocked",
		406: "blocked", 407: "blocked", 408: "retry", 410: "blocked", 413: "too large", 415: "blocked",
		422: "permanent", 425: "retry", 429: "retry", 431: "blocked", 500: "suspect", 501: "retry",
		502: "retry", 503: "retry", 504: "retry", 507: "retry", 599: "retry", 0: "retry", 999: "retry",
	} {
		f(status, 0, want)
	}
	f(429, 7*time.Second, "after 7s")
	f(503, 7*time.Second, "after 7s")
	f(500, 7*time.Second, "after 7s")
	f(401, 7*time.Second, "blocked")
	f(413, 7*time.Second, "too large")
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2025, 10, 29, 12, 0, 0, 0, time.UTC)
	f := func(text string, want time.Duration) {
		t.Helper()
		h := http.Header{}
		if text != "" {
			h.Set("Retry-After", text)
		}
		if got := RetryAfter(h, now); got != want {
			t.Errorf("RetryAfter(%q) = %v, want %v", text, got, want)
		}
	}
	f("", 0)
	f("0", 0)
	f("7", 7*time.Second)
	f(" 30 ", 30*time.Second)
	f("301", 5*time.Minute)
	f("99999999999999999999999999", 5*time.Minute)
	f("-5", 0)
	f("soon", 0)
	f("1.5", 0)
	f("Wed, 29 Oct 2025 12:00:42 GMT", 42*time.Second)
	f("Wed, 29 Oct 2025 11:00:00 GMT", 0)
	f("Wed, 29 Oct 2125 11:00:00 GMT", 5*time.Minute)
}

var hostileSecrets = []string{
	"9f0e8f1c-6a7b-4c3d-8e9f-0a1b2c3d4e5f", "user:p/4+ss w\"ord<&>", `back\slash'quote`, "pässwörd-ключ", "a%2Fb+c=d",
}

func TestMaskKnowsEveryEncoding(t *testing.T) {
	for _, secret := range hostileSecrets {
		m := NewMask(agent.NewSecret("other"), agent.NewSecret(secret))
		quoted, err := json.Marshal(secret)
		if err != nil {
			t.Fatal(err)
		}
		std := base64.StdEncoding.EncodeToString([]byte(secret))
		quotedStd, err := json.Marshal(std)
		if err != nil {
			t.Fatal(err)
		}
		twice, err := json.Marshal(string(quoted))
		if err != nil {
			t.Fatal(err)
		}
		for name, form := range map[string]string{
			"plain": secret, "base64": std, "base64 raw": strings.TrimRight(std, "="),
			"base64 url": base64.URLEncoding.EncodeToString([]byte(secret)),
			"query":      url.QueryEscape(secret), "path": url.PathEscape(secret), "json": string(quoted[1 : len(quoted)-1]),
			"base64 in a query": url.QueryEscape(std), "base64 in json": string(quotedStd),
			"html": html.EscapeString(secret), "json in json": string(twice[3 : len(twice)-3]),
			"query in a query": url.QueryEscape(url.QueryEscape(secret)), "query in html": html.EscapeString(url.QueryEscape(secret)),
			"base64 as .NET quotes it": strings.ReplaceAll(std, "+", `\u002B`), "base64 as Gson quotes it": strings.ReplaceAll(std, "=", `\u003d`),
		} {
			got := m.Answer([]byte("you sent "+form+" and it is wrong"), false)
			if strings.Contains(got, form) || !strings.Contains(got, "***") {
				t.Errorf("%s of %q: %q", name, secret, got)
			}
		}
	}
	if got := NewMask(agent.NewSecret("")).Answer([]byte("as it is"), false); got != "as it is" {
		t.Errorf("no secret: %q", got)
	}
	// The longer one is masked as a whole, not its beginning alone.
	if got := NewMask(agent.NewSecret("abc"), agent.NewSecret("abcdef")).Text("abcdef"); got != "***" {
		t.Errorf("a secret within a secret: %q", got)
	}
}

func TestAnswerIsCleanAndShort(t *testing.T) {
	m := NewMask(agent.NewSecret("s3cr3t-t0ken"))
	f := func(body, want string) {
		t.Helper()
		if got := m.Answer([]byte(body), false); got != want {
			t.Errorf("Answer(%q) = %q, want %q", body, got, want)
		}
	}
	f("", "")
	f(" \r\n a\n\tb \x00 c\x1b[31m \u0085 ", "a b c [31m")
	f("ok\xff\xfe\u202eevil", "ok\ufffd\ufffd\ufffdevil")
	long := m.Answer([]byte(strings.Repeat("ü", 5000)), false)
	if len(long) > answerLimit+len("…") || !utf8.ValidString(long) || !strings.HasSuffix(long, "…") {
		t.Errorf("%d bytes, %q", len(long), long[len(long)-8:])
	}
	// Half a secret at the end of what was read is not recognised, and not shown.
	for cut := 1; cut < len("s3cr3t-t0ken"); cut++ {
		if got := m.Answer([]byte("you sent "+"s3cr3t-t0ken"[:cut]), true); strings.Contains(got, "s3") {
			t.Errorf("cut secret: %q", got)
		}
	}
}

func FuzzMask(f *testing.F) {
	for _, s := range hostileSecrets {
		f.Add(s, "before ", " after", false)
	}
	f.Add("a", "aaa\x00", "\xff", true)
	f.Add("se cret", "se\ncret", "", true)
	f.Fuzz(func(t *testing.T, secret, before, after string, truncated bool) {
		if len(secret) < 4 || strings.Contains("***", secret) {
			return
		}
		m := NewMask(agent.NewSecret(secret))
		got := m.Answer([]byte(before+secret+after), truncated)
		if strings.Contains(got, secret) {
			t.Errorf("%q shows the secret %q", got, secret)
		}
		if len(got) > answerLimit+len("…***") || !utf8.ValidString(got) {
			t.Errorf("%d bytes of answer", len(got))
		}
	})
}

func TestValidate(t *testing.T) {
	f := func(key string, edit func(*Config)) {
		t.Helper()
		c := config("https://siem.example.com:8088")
		edit(&c)
		err := c.Validate()
		var ke *agent.KeyError
		switch {
		case key == "":
			if err != nil {
				t.Errorf("Validate(%v) = %v", c.Endpoint, err)
			}
		case !errors.As(err, &ke) || ke.Key != key:
			t.Errorf("Validate(%v) = %v, want key %s", c.Endpoint, err, key)
		case strings.Contains(err.Error(), "p4ss"):
			t.Errorf("%v shows a password", err)
		}
	}
	endpoint := func(e ...string) func(*Config) { return func(c *Config) { c.Endpoint = e } }
	f("", func(*Config) {})
	f("", endpoint("https://a", "http://[::1]:8088/base", "https://a:8088"))
	for _, bad := range []string{
		"", "siem.example.com:8088", "siem.example.com", "ftp://a", "https://", "https://u:p4ss@a", "https://a#b",
		"https://u:p4ss@a:b", "https://a:99999", "https://a:0", "://", "https://a b", "https://%zz",
	} {
		f("endpoint", endpoint(bad))
	}
	f("endpoint", endpoint("https://a", "https://a"))
	f("tls", func(c *Config) { c.Endpoint, c.TLS.ServerName = []string{"http://a"}, "b" })
	f("tls.cert_file", func(c *Config) { c.TLS.CertFile = "x" })
	f("", func(c *Config) { c.Proxy = agent.NewSecret("http://u:p4ss@proxy:3128") })
	f("proxy", func(c *Config) { c.Proxy = agent.NewSecret("https://u:p4ss@proxy:3128") })
	f("proxy", func(c *Config) { c.Proxy = agent.NewSecret("proxy:p4ss") })
}
