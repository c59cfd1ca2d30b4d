package vectors

import (
	"encoding/json"
	"strings"

	"pgregory.net/rapid"

	"github.com/adrian207/siemd/agent"
)

// Parts are what an event is made of, as text that may be anything.
type Parts struct {
	ID, Type, Source   string
	Title, Description string
	Class, Detector    string // anomaly.type and detection.detector
	Tactic, Technique  string
	Level              string   // risk.level
	List               []string // recommendations, risk_factors and violations.critical_policies
	Score              int64
	Severity           agent.Severity
	Time               int64
}

// Valid is p as it could have come through the intake: in valid UTF-8.
func (p Parts) Valid() Parts {
	for _, s := range []*string{
		&p.ID, &p.Type, &p.Source, &p.Title, &p.Description, &p.Class, &p.Detector, &p.Tactic, &p.Technique, &p.Level,
	} {
		*s = strings.ToValidUTF8(*s, "\uFFFD")
	}
	for i := range p.List {
		p.List[i] = strings.ToValidUTF8(p.List[i], "\uFFFD")
	}
	return p
}

// Event makes an event of p, which must be Valid.
func (p Parts) Event() *agent.Event {
	type object map[string]any
	body, err := json.Marshal(object{
		"event_id": p.ID, "event_type": p.Type, "source": p.Source, "title": p.Title, "description": p.Description,
		"anomaly":         object{"type": p.Class, "score": p.Score, "confidence": 0.5},
		"detection":       object{"detector": p.Detector},
		"mitre_attack":    object{"tactic": p.Tactic, "technique": p.Technique},
		"risk":            object{"level": p.Level, "total_score": p.Score},
		"compliance":      object{"score": p.Score, "is_compliant": true},
		"violations":      object{"critical_policies": p.List},
		"recommendations": p.List, "risk_factors": p.List,
	})
	if err != nil {
		panic(err)
	}
	return &agent.Event{
		ID: []byte(p.ID), Type: []byte(p.Type), Source: []byte(p.Source), Severity: p.Severity,
		Time: p.Time, Received: p.Time, Body: body,
	}
}

// Draw makes parts of all kinds of text, hostile ones above all.
func Draw(t *rapid.T) Parts {
	hostile := rapid.SampledFrom([]string{
		"", " ", "a", "plain words", `\`, `\\`, "|", "=", " k=v", `"]`, "]", "[x@1 a=\"b\"]", "\n", "\r\n", "\r", "\t", "\x00", "\x1b[31m",
		"\u0085", "\u2028", "\u00e9", "e\u0301", "\U0001F525", "\uFFFD", "\uFEFF", "^", "cs1Label=x", "<8>1 - - - - - -", "%s%n", "}", "{", ",",
	})
	piece := rapid.OneOf(hostile, hostile, rapid.String(), rapid.StringN(0, 2000, -1))
	text := func(name string) string {
		return strings.Join(rapid.SliceOfN(piece, 0, 6).Draw(t, name), "")
	}
	kind := rapid.OneOf(rapid.SampledFrom([]string{"anomaly", "risk_assessment", "compliance_check", "alert", "telemetry", ""}), piece)
	return Parts{
		ID: text("id"), Type: kind.Draw(t, "type"), Source: text("source"),
		Title: text("title"), Description: text("description"), Class: text("class"), Detector: text("detector"),
		Tactic: text("tactic"), Technique: text("technique"), Level: text("level"),
		List:     rapid.SliceOfN(piece, 0, 3).Draw(t, "list"),
		Score:    rapid.Int64Range(-1000, 1e15).Draw(t, "score"),
		Severity: agent.Severity(rapid.IntRange(0, 5).Draw(t, "severity")),
		Time:     rapid.Int64Range(0, 9e18).Draw(t, "time"),
	}.Valid()
}

// OneLine is the text that a line format shows: CRLF is one character, and
// every control character a space. It is written unlike the codecs' own.
func OneLine(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// Cut is s trimmed of spaces and cut to n characters.
func Cut(s string, n int) string {
	s = strings.Trim(s, " ")
	if runes := []rune(s); len(runes) > n {
		s = strings.Trim(string(runes[:n]), " ")
	}
	return s
}
