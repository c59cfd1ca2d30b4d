package leef

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
)

// parseDelimiter gives the delimiter and how a LEEF 2.0 header names it.
func parseDelimiter(s string) (delimiter rune, name string, err error) {
	bad := func(why string) (rune, string, error) {
		return 0, "", fmt.Errorf("delimiter: %q %s", s, why)
	}
	switch {
	case s == "" || s == "\t" || s == "tab":
		return '\t', "x09", nil
	case utf8.RuneCountInString(s) == 1:
		delimiter, _ = utf8.DecodeRuneInString(s)
		name = s
	default:
		hex := strings.TrimPrefix(strings.TrimPrefix(s, "0"), "x")
		n, err := strconv.ParseUint(hex, 16, 16)
		if err != nil || len(hex) > 4 || len(hex) == len(s) {
			return bad("is neither one character nor x and 1 to 4 hex digits")
		}
		delimiter, name = rune(n), s
	}
	switch {
	case delimiter == '\t':
	case delimiter < ' ' || delimiter == 0x7f:
		return bad("is a control character that relays change; only the tab is common enough")
	case delimiter == utf8.RuneError || !utf8.ValidRune(delimiter):
		return bad("is no character")
	case strings.ContainsRune("|= ", delimiter) || delimiter < utf8.RuneSelf && strings.ContainsRune(alphanumeric, delimiter):
		return bad("occurs in every line")
	}
	return delimiter, name, nil
}

const alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// Milliseconds before 2001-09-09 have fewer than the 13 digits that QRadar
// takes for a time, and some centuries later more, so such times are written
// out, with their pattern.
const thirteenDigits = 1_000_000_000_000 * 1_000_000

// attributes appends the attributes, the first without a delimiter in front.
func (c *Codec) attributes(dst []byte, l *line, e *agent.Event, f *fields.Fields) []byte {
	dst = append(dst, "devTime="...)
	if e.Time >= thirteenDigits {
		dst = fields.AppendMillis(dst, e.Time)
	} else {
		dst = fields.AppendJava(dst, e.Time)
		dst = c.key(dst, "devTimeFormat=")
		dst = append(dst, "MMM dd yyyy HH:mm:ss.SSS z"...)
	}
	dst = c.key(dst, "sev=")
	dst = append(dst, fields.CEFSeverity(e.Severity)...)
	dst = c.text(dst, "cat=", e.Type)
	dst = c.text(dst, "resource=", e.Source)
	dst = c.text(dst, "externalId=", e.ID)
	l.mark(len(dst))

	switch f.Kind {
	case fields.Anomaly:
		dst = c.value(dst, l, "anomalyScore=", f.Get(fields.AnomalyScore))
		dst = c.value(dst, l, "anomalyConfidence=", f.Get(fields.Confidence))
		dst = c.value(dst, l, "detectionMethod=", f.Get(fields.Method))
		dst = c.value(dst, l, "detector=", f.Get(fields.Detector))
		if mitre, ok := f.Mitre(); ok {
			dst = c.mitre(dst, l, "mitreTactic=", mitre, fields.Tactics)
			dst = c.mitre(dst, l, "mitreTechnique=", mitre, fields.Techniques)
		}
		dst = c.title(dst, l, f.Get(fields.Title))
	case fields.Risk:
		dst = c.value(dst, l, "riskLevel=", f.Get(fields.RiskLevel))
		dst = c.value(dst, l, "riskScore=", f.Get(fields.RiskScore))
		dst = c.value(dst, l, "previousRiskScore=", f.Get(fields.PreviousScore))
		dst = c.value(dst, l, "riskScoreChange=", f.Get(fields.ScoreChange))
		dst = c.value(dst, l, "riskFactors=", f.Get(fields.RiskFactors))
	case fields.Compliance:
		dst = c.value(dst, l, "isCompliant=", f.Get(fields.IsCompliant))
		dst = c.value(dst, l, "complianceScore=", f.Get(fields.ComplianceScore))
		dst = c.value(dst, l, "policiesTotal=", f.Get(fields.PoliciesTotal))
		dst = c.value(dst, l, "policiesPassed=", f.Get(fields.PoliciesPassed))
		dst = c.value(dst, l, "policiesFailed=", f.Get(fields.PoliciesFailed))
		dst = c.value(dst, l, "criticalPolicies=", f.Get(fields.CriticalPolicies))
	default:
		dst = c.title(dst, l, f.Get(fields.Title))
	}
	for i := range c.extra {
		dst = c.extension(dst, l, &c.extra[i], e)
	}
	n := len(dst)
	if dst = c.value(dst, l, "msg=", f.Get(fields.Description)); len(dst) > n {
		l.msg = n + len(c.delimiter) + len("msg=")
	}
	return dst
}

// title appends the title and notes where it stands.
func (c *Codec) title(dst []byte, l *line, v fields.Value) []byte {
	n := len(dst)
	if dst = c.value(dst, l, "title=", v); len(dst) > n {
		l.title, l.titleEnd = n+len(c.delimiter)+len("title="), len(dst)
	}
	return dst
}

func (c *Codec) key(dst []byte, key string) []byte {
	return append(append(dst, c.delimiter...), key...)
}

// value appends an attribute, unless nothing is left of its value.
func (c *Codec) value(dst []byte, l *line, key string, v fields.Value) []byte {
	dst = c.attribute(dst, key, v)
	l.mark(len(dst))
	return dst
}

// attribute is value for one that may still be cut.
func (c *Codec) attribute(dst []byte, key string, v fields.Value) []byte {
	if v == nil {
		return dst
	}
	if text, ok := v.Plain(); ok {
		return c.text(dst, key, text)
	}
	n := len(dst)
	return c.moved(v.AppendText(dst), n, key)
}

// mitre appends an attribute with ids of ATT&CK.
func (c *Codec) mitre(dst []byte, l *line, key string, m *fields.Mitre, p fields.Part) []byte {
	if v, ok := m.Single(p); ok {
		return c.value(dst, l, key, v)
	}
	n := len(dst)
	dst = c.moved(m.AppendText(dst, p), n, key)
	l.mark(len(dst))
	return dst
}

// moved makes an attribute of the text that was appended at n.
func (c *Codec) moved(dst []byte, n int, key string) []byte {
	m := len(dst)
	dst = c.text(dst, key, dst[n:m])
	return append(dst[:n], dst[m:]...)
}

// text appends an attribute: one line, trimmed, without the delimiter.
func (c *Codec) text(dst []byte, key string, text []byte) []byte {
	start := len(dst)
	if len(text) == 0 {
		return dst
	}
	dst = c.key(dst, key)
	n := len(dst)
	dst = fields.AppendLine(dst, text, c.repairs)
	if c.delimiter[0] != '\t' {
		dst = c.blank(dst, n)
	}
	kept := fields.Trim(dst[n:])
	if len(kept) == 0 {
		return dst[:start]
	}
	return dst[:n+copy(dst[n:], kept)]
}

// blank replaces the delimiter by a space in what was appended at n.
func (c *Codec) blank(dst []byte, n int) []byte {
	i := bytes.Index(dst[n:], c.delimiter)
	if i < 0 {
		return dst
	}
	c.repairs.Add(fields.ControlChar)
	rest := dst[n:]
	dst = dst[:n]
	for i >= 0 {
		dst = append(append(dst, rest[:i]...), ' ') // never more than was read
		rest = rest[i+len(c.delimiter):]
		i = bytes.Index(rest, c.delimiter)
	}
	return append(dst, rest...)
}
