package delivery

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/adrian207/siemd/agent"
	cjson "github.com/adrian207/siemd/codecs/json"
)

// An Entry is an event that its SIEM refused. As JSON it has the keys of contract 6.
type Entry struct {
	ID           string          `json:"id"`   // 16 hex digits, rising, unique in its store
	Time         time.Time       `json:"time"` // when it was refused first
	Seq          uint64          `json:"seq"`
	EventID      string          `json:"event_id"`
	EventType    string          `json:"event_type"`
	ConnectionID string          `json:"connection_id"`
	Endpoint     string          `json:"endpoint"`
	Status       int             `json:"status"` // of HTTP; 0 if the protocol has none
	Answer       string          `json:"answer"`
	Attempts     int             `json:"attempts"`
	Event        json.RawMessage `json:"event"` // as the sender wrote it

	Meta EntryMeta `json:"-"` // on disk only
}

// EntryMeta is what is needed beside an Entry's other fields to send it again.
type EntryMeta struct {
	Severity agent.Severity `json:"severity,omitempty"` // unset has no name
	Source   string         `json:"source"`
	Input    string         `json:"input"`
	Time     int64          `json:"event_time"` // UTC nanoseconds
	Received int64          `json:"received"`   // UTC nanoseconds
	Quoted   bool           `json:"quoted,omitempty"`
}

// maxAnswer is how much of an answer is kept, bytes.
const maxAnswer = 4 << 10

// newEntry describes a refusal. It copies the event.
func newEntry(f refusal, connection, endpoint string) Entry {
	e := &f.event
	out := Entry{
		Seq: e.Seq, EventID: text(e.ID), EventType: text(e.Type), ConnectionID: connection,
		Endpoint: endpoint, Attempts: f.attempts, Event: bytes.Clone(e.Body),
		Meta: EntryMeta{Severity: e.Severity, Source: text(e.Source), Input: e.Input, Time: e.Time, Received: e.Received},
	}
	if !json.Valid(e.Body) {
		// The log holds JSON only; if it does not, people still get to see what it was.
		out.Event, _ = json.Marshal(string(e.Body))
		out.Meta.Quoted = true
	} else if bytes.IndexByte(e.Body, '\n') >= 0 {
		var line bytes.Buffer
		_ = json.Compact(&line, e.Body)
		out.Event = line.Bytes()
	}
	out.answer(f.err)
	return out
}

func text(b []byte) string { return strings.ToValidUTF8(string(b), "\uFFFD") }

// answer puts what was answered into e.
func (e *Entry) answer(err error) {
	e.Status, e.Answer = 0, err.Error()
	var answer *agent.AnswerError
	if errors.As(err, &answer) {
		e.Status = answer.Status
		if answer.Endpoint != "" {
			e.Endpoint = answer.Endpoint
		}
		if answer.Answer != "" {
			e.Answer = answer.Answer
		}
	}
	if len(e.Answer) > maxAnswer {
		e.Answer = e.Answer[:maxAnswer]
	}
	e.Answer = text([]byte(e.Answer))
}

// event is the event to be sent again. It shares memory with e.
func (e *Entry) event() agent.Event {
	body := []byte(e.Event)
	if e.Meta.Quoted {
		var text string
		_ = json.Unmarshal(e.Event, &text)
		body = []byte(text)
	}
	return agent.Event{
		Seq: e.Seq, Time: e.Meta.Time, Received: e.Meta.Received, Severity: e.Meta.Severity,
		ID: []byte(e.EventID), Type: []byte(e.EventType), Source: []byte(e.Meta.Source), Input: e.Meta.Input, Body: body,
	}
}

// AppendJSON appends e as one line without its end; the event is verbatim.
func (e *Entry) AppendJSON(dst []byte) []byte { return e.appendJSON(dst, nil) }

// MarshalJSON is AppendJSON for encoding/json.
func (e Entry) MarshalJSON() ([]byte, error) { return e.AppendJSON(nil), nil }

// appendJSON writes the event last and by hand: encoding/json would rewrite it.
func (e *Entry) appendJSON(dst []byte, meta *EntryMeta) []byte {
	type plain Entry
	head := struct {
		plain
		Event *struct{}  `json:"event,omitempty"`
		Meta  *EntryMeta `json:"meta,omitempty"`
	}{plain: plain(*e), Meta: meta}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(head) // strings and numbers only
	dst = append(dst, bytes.TrimSuffix(buf.Bytes(), []byte("}\n"))...)
	dst = append(dst, `,"event":`...)
	dst = append(dst, e.Event...)
	return append(dst, '}')
}

// appendLine is e as the store keeps it.
func (e *Entry) appendLine(dst []byte) []byte {
	return append(e.appendJSON(dst, &e.Meta), '\n')
}

// parseEntry reads a line of the store.
func parseEntry(line []byte) (Entry, error) {
	type plain Entry
	var v struct {
		plain
		Meta EntryMeta `json:"meta"`
	}
	if err := json.Unmarshal(line, &v); err != nil {
		return Entry{}, err
	}
	e := Entry(v.plain)
	e.Meta = v.Meta
	return e, nil
}

// A FailedFilter picks entries. Its conditions are ANDed; a zero one picks all.
type FailedFilter struct {
	IDs       []string
	EventType string
	Severity  agent.Severity // the least
	MaxAge    time.Duration  // since it was refused first
	Match     string         // in the answer or the event, in any case
	Limit     int            // most entries to retry or purge, the oldest; 0: all
}

func (f *FailedFilter) picks(e *Entry, now time.Time) bool {
	if len(f.IDs) > 0 {
		found := false
		for _, id := range f.IDs {
			found = found || id == e.ID
		}
		if !found {
			return false
		}
	}
	if f.EventType != "" && f.EventType != e.EventType || e.Meta.Severity < f.Severity {
		return false
	}
	if f.MaxAge > 0 && now.Sub(e.Time) > f.MaxAge {
		return false
	}
	if f.Match != "" {
		return strings.Contains(strings.ToLower(e.Answer), strings.ToLower(f.Match)) || cjson.Holds(e.Event, f.Match)
	}
	return true
}
