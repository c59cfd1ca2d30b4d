package httpx

import (
	"encoding/base64"
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/adrian207/siemd/agent"
)

// answerLimit is how much of an answer is kept, in bytes.
const answerLimit = 2 << 10

// A Mask makes text of a receiver fit for logs and for people. A receiver
// often echoes what it was sent, so every secret is masked in every encoding
// that it could come back in.
type Mask struct {
	words   []string // longest first
	longest int
}

// NewMask masks the given secrets. A pair of user and password is masked as
// the Authorization header bears it, if it is given joined with a colon.
func NewMask(secrets ...agent.Secret) *Mask {
	m := &Mask{}
	for _, s := range secrets {
		text := s.Reveal()
		if text == "" {
			continue
		}
		forms := []string{text}
		for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
			forms = append(forms, enc.EncodeToString([]byte(text)))
		}
		// What was encoded may be encoded again: a header in a JSON text, in HTML,
		// in a URL. And once more: a URL that a login page sends people back to,
		// a gateway's JSON with that of the server behind it in a string.
		for range 2 {
			for _, f := range forms {
				forms = append(forms, escapings(f)...)
			}
			slices.Sort(forms)
			forms = slices.Compact(forms) // most secrets look the same in most of them
		}
		m.words = append(m.words, forms...)
	}
	// Longest first, so that no word is masked in part because another one is its beginning.
	slices.SortFunc(m.words, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	m.words = slices.Compact(m.words)
	if len(m.words) > 0 {
		m.longest = len(m.words[0])
	}
	return m
}

func escapings(s string) []string {
	query, path := url.QueryEscape(s), url.PathEscape(s)
	out := []string{query, path, lowerHex(query), lowerHex(path), html.EscapeString(s)}
	if b, err := json.Marshal(s); err == nil {
		out = append(out, string(b[1:len(b)-1])) // with <, > and & as \u003c
	}
	var plain strings.Builder
	enc := json.NewEncoder(&plain)
	enc.SetEscapeHTML(false)
	if enc.Encode(s) == nil {
		q := strings.TrimSuffix(plain.String(), "\n")
		q = q[1 : len(q)-1]
		out = append(out, q, strings.ReplaceAll(q, "/", `\/`)) // as some servers write a slash
		out = append(out, asGson.Replace(q), asDotNet.Replace(q))
	}
	return out
}

// Serializers that escape more of JSON than it asks for; the characters are
// those of base64 and passwords.
var (
	asGson   = strings.NewReplacer("<", `\u003c`, ">", `\u003e`, "&", `\u0026`, "=", `\u003d`, "'", `\u0027`)
	asDotNet = strings.NewReplacer("<", `\u003C`, ">", `\u003E`, "&", `\u0026`, "+", `\u002B`, "'", `\u0027`, `\"`, `\u0022`, "`", `\u0060`)
)

// lowerHex writes %2F as %2f.
func lowerHex(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:i+3], strings.ToLower(string(b[i+1:i+3])))
			i += 2
		}
	}
	return string(b)
}

// Text masks the secrets in s and leaves the rest as it is.
func (m *Mask) Text(s string) string {
	for _, w := range m.words {
		s = strings.ReplaceAll(s, w, "***")
	}
	return s
}

// Answer is body fit for an error: secrets masked, control characters and
// broken UTF-8 replaced, runs of white space as one space, and cut to 2 KiB. truncated says that
// body is the beginning of something longer.
func (m *Mask) Answer(body []byte, truncated bool) string {
	s := m.Text(string(body))
	if truncated {
		// The cut may have gone through a secret, which nothing recognises then.
		s = s[:max(0, len(s)-m.longest)]
	}
	var b strings.Builder
	space := false
	for _, r := range s {
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			space = b.Len() > 0
			continue
		}
		if !unicode.IsPrint(r) {
			r = utf8.RuneError // invisible and direction-changing characters among them
		}
		if b.Len()+utf8.RuneLen(r)+1 > answerLimit {
			return b.String() + "…"
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
	}
	// Cleaning may have joined the halves of a secret, as in "to\x00ken" for "to ken".
	return m.Text(b.String())
}
