package http

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/plugintest"
)

func TestSplit(t *testing.T) {
	f := func(body, want string) {
		t.Helper()
		var s splitter
		items, err := s.events(nil, []byte(body))
		got := string(bytes.Join(items, []byte("|")))
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != want {
			t.Errorf("%q: %s, want %s", body, got, want)
		}
	}
	f(`{"a":"\"}"}`, `{"a":"\"}"}`)
	f("{}\n\n{}", "{}||{}")
	f("\n{}", "|{}")
	f("{} {}", "{}|{}")
	f("{\n}\n{\n}", "{\n}|{\n}")
	f("{\n}\nx", "{\n}|x")
	f("{\n}\n{", "{|}|{")
	f("x\n{}", "x|{}")
	f("some words\r\n[INFO] more of them\n{\n} {} end of {line}\n 1 2\n", "some words|[INFO] more of them|{\n}|{}|end of {line}|1 2")
	f("[1,\"a,]\",{\"b\":[2]},[]]", `1|"a,]"|{"b":[2]}|[]`)
	f("[ ]", "")
	f("[1,]", "error: want a value, not ']'")
	f("[,1]", "error: want a value, not ','")
	f("[1 2]", "error: want a comma or ] behind an item, not '2'")
	f("[1,", "error: the text ends within a value")
	f("[", "error: the text ends within a value")
	f("[{]}", "error: ']' closes what it did not open")
	f(`["a]`, "error: the text ends within a value")
	f("", "error: the body is empty")
	f("\xef\xbb\xbf\n", "error: the body is empty")
}

// FuzzSplit: the splitter finds the same values as encoding/json in anything
// that is JSON, and never more or less bytes than there are.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{`[{"a":[1,"\\"]},2]`, "{\"a\":1}\n{\"b\":2}\n", "{\n}{}", `[]`, `["]"]`, "\xef\xbb\xbf[1 , 2]", `{"a"`, "[[[", "}{"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var s splitter
		items, err := s.events(nil, body)
		total := 0
		for _, item := range items {
			total += len(item)
		}
		if total > len(body) {
			t.Fatalf("%d bytes of items from %d", total, len(body))
		}
		text := bytes.TrimPrefix(body, bom)
		var array []json.RawMessage
		if json.Unmarshal(text, &array) == nil && array != nil {
			if err != nil || len(items) != len(array) {
				t.Fatalf("%q: %d items, %v; want %d", body, len(items), err, len(array))
			}
			for i := range items {
				if !bytes.Equal(items[i], array[i]) {
					t.Fatalf("%q: item %d is %q, want %q", body, i, items[i], array[i])
				}
			}
			return
		}
		if values, ok := stream(text); ok && len(values) > 0 && text[skipSpace(text, 0)] == '{' {
			var got [][]byte
			for _, item := range items {
				if !blank(item) {
					got = append(got, bytes.TrimSpace(item))
				}
			}
			// Values that share lines with others are found only if the first line is not one whole value.
			if len(got) != len(values) && s.oneLine(bytes.TrimLeft(text, " \t\r\n")) {
				return
			}
			for i := range values {
				if i >= len(got) || !bytes.Equal(got[i], values[i]) {
					t.Fatalf("%q: got %q, want %q", body, got, values)
				}
			}
		}
	})
}

// stream reads objects one behind the other.
func stream(text []byte) (values [][]byte, ok bool) {
	d := json.NewDecoder(bytes.NewReader(text))
	for {
		var v json.RawMessage
		err := d.Decode(&v)
		if errors.Is(err, io.EOF) {
			return values, true
		}
		if err != nil || v[0] != '{' {
			return nil, false
		}
		values = append(values, v)
	}
}

// FuzzScan holds the scanner to encoding/json.
func FuzzScan(f *testing.F) {
	for _, s := range []string{`{"a":[1,-2.5e+3,"x\u00e9\n",null,true,{}]}`, `{"a"}`, `[1,]`, `01`, `"\x"`, "\"\xff\"", ``, `-`, `1.`, `nul`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if bytes.Count(b, []byte("["))+bytes.Count(b, []byte("{")) >= 1000 {
			return
		}
		end, ok := scanValue(b, skipSpace(b, 0), 1000)
		ok = ok && skipSpace(b, end) == len(b)
		if want := json.Valid(b); ok != want {
			t.Errorf("%q: %v, encoding/json says %v", b, ok, want)
		}
	})
}

// FuzzEnvelopes: every event that comes out is one valid object, whatever goes in.
func FuzzEnvelopes(f *testing.F) {
	for _, s := range []string{`{"event":{"a":1},"time":1,"host":"h","fields":{"a":"b"},"index":"i"}`, `[{"event":"x"},{"event":1}]`, `{"event":{"hec":1,"source":""},"x\u0022":1}`, `{"event":1}{"event":`, "[", `{"\u0065vent":1}`} {
		f.Add([]byte(s))
	}
	in := &Input{config: defaults}
	f.Fuzz(func(t *testing.T, body []byte) {
		w := &work{body: body}
		bad := in.envelopes(w)
		for _, item := range w.items {
			if !json.Valid(item) || item[0] != '{' {
				t.Errorf("%q gave %q", body, item)
			}
		}
		if bad.code != 0 && bad.number != len(w.items) {
			t.Errorf("%q: object %d is bad, but %d were taken before it", body, bad.number, len(w.items))
		}
	})
}

// FuzzBulk: one answer for each action, valid whatever goes in.
func FuzzBulk(f *testing.F) {
	f.Add([]byte("{\"index\":{\"_index\":\"a\",\"_id\":\"1\"}}\n{\"x\":1}\n{\"delete\":{}}\n{\"create\":{\"_id\":\"\\u0000\"}}\n{ }\n"))
	f.Add([]byte("{\"create\":{\"_id\":5}}\nrubbish\n"))
	in := &Input{config: defaults}
	f.Fuzz(func(t *testing.T, body []byte) {
		w := &work{body: body}
		actions, placed, _, err := in.actions(w, []byte(`"i"`))
		if err != nil {
			return
		}
		if len(placed) != len(w.items) {
			t.Fatalf("%d items, %d places", len(w.items), len(placed))
		}
		for i, item := range w.items {
			if a := actions[placed[i]]; a.kind != "" {
				t.Errorf("%q: a refused action has an event", body)
			}
			doc := bytes.TrimSpace(item)
			if json.Valid(doc) && doc[0] == '{' && !bytes.Contains(doc, []byte(`event_id`)) && !strings.Contains(string(body), `\u00`) {
				t.Errorf("%q: event %q has no id", body, item)
			}
		}
	})
}

// FuzzOTLP: every event that comes out is one valid object.
func FuzzOTLP(f *testing.F) {
	f.Add([]byte(`{"resourceLogs":[{"resource":{"attributes":[{"key":"a","value":{"intValue":"5"}}]},"scopeLogs":[{"logRecords":[{"timeUnixNano":"5","body":{"kvlistValue":{"values":[{"key":"x","value":{"doubleValue":1e5}}]}}},{}]}]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var logs otlpLogs
		w := &work{}
		if json.Unmarshal(body, &logs) != nil || logs.events(w) != nil {
			return
		}
		for _, item := range w.items {
			if !json.Valid(item) || item[0] != '{' {
				t.Errorf("%q gave %q", body, item)
			}
		}
	})
}

// BenchmarkPost is events per second from a client on the same machine into a log that takes everything.
func BenchmarkPost(b *testing.B) {
	const batch = 1000
	g := plugintest.NewGenerator(1)
	var body []byte
	for range batch {
		body = g.Append(body)
	}
	array := append(append([]byte("["), bytes.ReplaceAll(bytes.TrimSpace(body), []byte("\n"), []byte(","))...), ']')
	hec := append(bytes.ReplaceAll(append([]byte(`{"time":1761739200.000,"event":`), bytes.TrimSpace(body)...), []byte("\n"), []byte("}\n{\"time\":1761739200.000,\"event\":")), '}')
	var bulk []byte
	for i, line := range bytes.SplitAfter(bytes.TrimSpace(body), []byte("\n")) {
		bulk = fmt.Appendf(bulk, "{\"create\":{\"_index\":\"zerotrust-events\",\"_id\":\"EVT-%d\"}}\n%s", i, line)
	}
	bulk = append(bulk, '\n')
	for _, c := range []struct {
		name, path string
		body       []byte
		headers    []string
	}{
		{"ndjson", "/v1/events", body, nil},
		{"array", "/v1/events", array, nil},
		{"gzip", "/v1/events", []byte(gzipped(string(body))), []string{"Content-Encoding: gzip"}},
		{"hec", "/services/collector", hec, nil},
		{"bulk", "/_bulk", bulk, nil},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := startSink(b, nullSink{}, nil)
			text := string(c.body)
			b.SetBytes(int64(len(c.body)))
			for b.Loop() {
				if status, text := r.post(c.path, text, c.headers...); status != 200 {
					b.Fatalf("%d %.200s", status, text)
				}
			}
			b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// nullSink takes everything and looks at nothing.
type nullSink struct{ agent.Sink }

func (nullSink) Submit(_ context.Context, b agent.Batch) (agent.Ticket, error) {
	return nullTicket(len(b.Lines)), nil
}
func (nullSink) Resume(string) ([]byte, bool) { return nil, false }

type nullTicket int

func (n nullTicket) Wait(context.Context) (agent.Receipt, error) {
	return agent.Receipt{First: 1, Last: uint64(n), Accepted: int(n)}, nil
}
