package rfc5424

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/adrian207/siemd/codecs/internal/vectors"
)

// A message is what a strict reading of RFC 5424 finds.
type message struct {
	pri                    int
	at                     string
	host, app, proc, msgID string
	sd                     []element
	msg                    string
	hasMsg                 bool
}

type element struct {
	id     string
	params [][2]string
}

func (m message) param(name string) (string, bool) {
	for _, e := range m.sd {
		for _, p := range e.params {
			if p[0] == name {
				return p[1], true
			}
		}
	}
	return "", false
}

// parse reads a message by the grammar of section 6, and nothing beside it.
func parse(s string) (m message, err error) {
	rest, ok := strings.CutPrefix(s, "<")
	digits, rest, found := strings.Cut(rest, ">")
	if !ok || !found {
		return m, errors.New("no PRI")
	}
	if m.pri, err = strconv.Atoi(digits); err != nil || m.pri > 191 || strconv.Itoa(m.pri) != digits {
		return m, fmt.Errorf("PRI %q", digits)
	}
	version, rest, found := strings.Cut(rest, " ")
	if !found || version == "" || len(version) > 3 || version[0] == '0' || strings.Trim(version, "0123456789") != "" {
		return m, fmt.Errorf("VERSION %q", version)
	}
	if m.at, rest, found = strings.Cut(rest, " "); !found || !isTimestamp(m.at) {
		return m, fmt.Errorf("TIMESTAMP %q", m.at)
	}
	for _, f := range []struct {
		to    *string
		limit int
	}{{&m.host, 255}, {&m.app, 48}, {&m.proc, 128}, {&m.msgID, 32}} {
		if *f.to, rest, found = strings.Cut(rest, " "); !found || !isPrintable(*f.to, f.limit) {
			return m, fmt.Errorf("field %q", *f.to)
		}
	}
	if rest, err = m.structuredData(rest); err != nil {
		return m, err
	}
	if rest != "" {
		if rest[0] != ' ' {
			return m, fmt.Errorf("%q after SD", rest)
		}
		m.msg, m.hasMsg = rest[1:], true
	}
	return m, nil
}

func (m *message) structuredData(s string) (rest string, err error) {
	if rest, ok := strings.CutPrefix(s, "-"); ok {
		return rest, nil
	}
	if !strings.HasPrefix(s, "[") {
		return s, errors.New("no SD")
	}
	for strings.HasPrefix(s, "[") {
		var e element
		n := strings.IndexAny(s, " ]")
		if n < 0 || !isName(s[1:n]) {
			return s, fmt.Errorf("SD-ID in %q", s)
		}
		for _, other := range m.sd {
			if other.id == s[1:n] {
				return s, fmt.Errorf("SD-ID %q twice", other.id)
			}
		}
		e.id, s = s[1:n], s[n:]
		for strings.HasPrefix(s, " ") {
			name, after, found := strings.Cut(s[1:], `="`)
			if !found || !isName(name) {
				return s, fmt.Errorf("PARAM-NAME in %q", s)
			}
			var value strings.Builder
			i := 0
			for ; i < len(after) && after[i] != '"'; i++ {
				if after[i] == ']' {
					return s, errors.New("unescaped ] in a value")
				}
				if after[i] == '\\' && i+1 < len(after) && strings.IndexByte(`"\]`, after[i+1]) >= 0 {
					i++
				}
				value.WriteByte(after[i])
			}
			if i == len(after) {
				return s, errors.New("value without end")
			}
			e.params = append(e.params, [2]string{name, value.String()})
			s = after[i+1:]
		}
		if !strings.HasPrefix(s, "]") {
			return s, fmt.Errorf("SD-ELEMENT without end in %q", s)
		}
		s = s[1:]
		m.sd = append(m.sd, e)
	}
	return s, nil
}

func isPrintable(s string, limit int) bool {
	for _, c := range []byte(s) {
		if c < 0x21 || c > 0x7e {
			return false
		}
	}
	return s != "" && len(s) <= limit
}

func isName(s string) bool { return isPrintable(s, 32) && !strings.ContainsAny(s, `="]`) }

func isTimestamp(s string) bool {
	if s == "-" {
		return true
	}
	_, fraction, has := strings.Cut(strings.TrimRight(s, "Z"), ".")
	fraction, _, _ = strings.Cut(fraction, "+")
	fraction, _, _ = strings.Cut(fraction, "-")
	if has && (fraction == "" || len(fraction) > 6) || strings.ToUpper(s) != s || strings.Contains(s, ",") {
		return false
	}
	_, err := time.Parse("2006-01-02T15:04:05.999999Z07:00", s)
	return err == nil
}

func TestParserIsStrict(t *testing.T) {
	v := vectors.Load(t, "parse-rfc5424")[0]
	lists := map[string][]string{}
	for _, name := range []string{"valid", "invalid"} {
		var list []string
		if err := json.Unmarshal(v.Expect[name], &list); err != nil {
			t.Fatal(err)
		}
		lists[name] = list
	}
	for _, s := range lists["valid"] {
		if _, err := parse(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range lists["invalid"] {
		if m, err := parse(s); err == nil {
			t.Errorf("%q was read as %+v", s, m)
		}
	}
}

func TestFrames(t *testing.T) {
	v := vectors.Load(t, "framing-octet-counting")[0]
	var encoded string
	if err := json.Unmarshal(v.Expect["stream_b64"], &encoded); err != nil {
		t.Fatal(err)
	}
	want, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	for _, m := range v.Input.Messages {
		got = AppendOctets(got, []byte(m))
	}
	if string(got) != string(want) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
	if got := AppendLine([]byte("x\n"), []byte("a\nb\r\nc\x00d")); string(got) != "x\na b  c d\n" {
		t.Errorf("a line is %q", got)
	}
	if got := AppendLine(AppendOctets(nil, nil), nil); len(got) != 0 {
		t.Errorf("nothing is framed as %q", got)
	}
}
