package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/plugintest"
)

// A faultCase is one connection to one mock that does one thing wrong. All
// cases run in the same agent and get the same events, so that each of them
// also shows that the others do not disturb it.
type faultCase struct {
	name  string
	kind  string
	fault string
	keys  string // further keys of the output
	opts  plugintest.Options

	// held: as long as the fault lasts nothing is delivered and nothing is
	// refused; says is in the last error meanwhile. Otherwise it passes by
	// itself, and says is in the log.
	held bool
	says string

	refused  []string // ids that end in the failed store
	status   int      // which answer they got
	answer   string   // what it contains
	swallows []string // ids that count as sent and never arrive, because the mock lied
	repeats  span     // how many events may arrive more than once
	lift     []string // faults to set before none ends it
	mend     func()   // ends what is no fault of the mock
}

// A span is a range of numbers.
type span struct{ from, to int }

var (
	oneBatch = span{1, faultBatch} // the outcome of one request was not known
	anyTimes = span{0, 1 << 20}    // so was that of many
)

const (
	faultEvents = 150
	faultBatch  = 20 // most events of a request
)

var poison = []string{"POISON-1", "POISON-2", "POISON-3"}

// faultStream makes the events of the matrix: ordinary ones, some that mocks
// are told to dislike, and a big one.
func faultStream() (lines []byte, ids []string) {
	g := plugintest.NewGenerator(4)
	g.Prefix = "GOOD-"
	for i := range faultEvents {
		switch i {
		case 0, 70, 71:
			id := poison[map[int]int{0: 0, 70: 1, 71: 2}[i]]
			lines = fmt.Appendf(lines, `{"event_id":%q,"event_type":"alert","severity":"high","title":"disliked"}`+"\n", id)
			ids = append(ids, id)
		case 100:
			lines = fmt.Appendf(lines, `{"event_id":"BIG-1","event_type":"alert","severity":"low","description":%q}`+"\n", strings.Repeat("big ", 4000))
			ids = append(ids, "BIG-1")
		default:
			ids = append(ids, g.ID(g.Count()))
			lines = g.Append(lines)
		}
	}
	return lines, ids
}

// held makes cases of faults that cost time and nothing else.
func heldCases(kind string, faults map[string]string) (cases []faultCase) {
	for _, fault := range slices.Sorted(maps.Keys(faults)) {
		name := strings.NewReplacer(":", "-", "=", "-", "_", "-").Replace(fault)
		c := faultCase{name: kind + "-" + name, kind: kind, fault: fault, held: true, says: faults[fault]}
		if fault == "hang" {
			// Long enough for a busy machine afterwards. What hangs is cut.
			c.keys, c.lift = "timeout: 20s", []string{"refuse"}
		}
		cases = append(cases, c)
	}
	return cases
}

func faultCases() (cases []faultCase) {
	add := func(c ...faultCase) { cases = append(cases, c...) }
	for _, kind := range []string{"splunk", "elastic", "http"} {
		// Nothing was taken, and nothing was said about the events.
		add(heldCases(kind, map[string]string{
			"refuse": "connection refused", "reset_before": "", "hang": "deadline",
			"401": "401", "403": "403", "404": "404", "408": "408", "429": "429", "500": "500", "502": "502", "503": "503", "504": "504",
		})...)
		name := func(text string) string { return kind + "-" + text }
		again := oneBatch
		if kind == "elastic" {
			again = span{} // create with an id: the second one is a conflict
		}
		add(
			faultCase{name: name("slow"), kind: kind, fault: "slow=30ms"},
			faultCase{name: name("reset-after"), kind: kind, fault: "reset_after:n=1", repeats: again},
			faultCase{name: name("hang-taken"), kind: kind, fault: "hang:taken:n=1", keys: "timeout: 20s", repeats: again},
			faultCase{name: name("503-taken"), kind: kind, fault: "503:taken:n=1", repeats: again},
			faultCase{name: name("401-for-a-while"), kind: kind, fault: "401:n=3", says: "401"},
			faultCase{name: name("retry-after"), kind: kind, fault: "429:retry_after=2", held: true, says: "429"},
			faultCase{name: name("413"), kind: kind, fault: "413:over=9KB", refused: []string{"BIG-1"}, status: 413},
			faultCase{name: name("flaky"), kind: kind, fault: "503:30%,429:20%,reset_before:20%"},
		)
	}
	for _, kind := range []string{"splunk", "elastic"} {
		again := oneBatch
		if kind == "elastic" {
			again = span{}
		}
		add(heldCases(kind, map[string]string{"html": "Sign in"})...)
		add(
			faultCase{name: kind + "-huge", kind: kind, fault: "huge:n=1", says: "longer than"},
			faultCase{name: kind + "-html-taken", kind: kind, fault: "html:taken:n=1", repeats: again},
			faultCase{name: kind + "-huge-taken", kind: kind, fault: "huge:taken:n=1", repeats: again},
			faultCase{name: kind + "-short", kind: kind, fault: "short:n=1", repeats: again},
			faultCase{name: kind + "-item-400", kind: kind, fault: "item=400:match=POISON-", refused: poison, status: 400},
		)
	}
	// A status is all that this target is asked for.
	add(heldCases("http", map[string]string{"html": "Sign in"})...)
	add(
		faultCase{name: "http-huge", kind: "http", fault: "huge:taken:n=1"},
		faultCase{name: "http-400-poison", kind: "http", fault: "400:match=POISON-", refused: poison, status: 400},
		faultCase{name: "http-422-poison", kind: "http", fault: "422:match=POISON-", refused: poison, status: 422},
	)
	add(
		faultCase{name: "elastic-item-413", kind: "elastic", fault: "item=413:match=POISON-", refused: poison, status: 413},
		faultCase{name: "elastic-item-429", kind: "elastic", fault: "item=429", held: true, says: "429"},
		faultCase{name: "elastic-item-503", kind: "elastic", fault: "item=503:match=GOOD-:n=200"},
		faultCase{name: "elastic-item-429-some", kind: "elastic", fault: "item=429:50%"},
		faultCase{name: "elastic-item-409", kind: "elastic", fault: "item=409:match=POISON-", swallows: poison},
		faultCase{name: "elastic-item-409-index", kind: "elastic", keys: "op: index", fault: "item=409", held: true, says: "409"},
		faultCase{name: "elastic-item-403", kind: "elastic", fault: "item=403", held: true, says: "403"},
	)
	// Splunk's codes. Without a number they say that something is wrong with one of them.
	add(heldCases("splunk", map[string]string{
		"hec=1": "Token disabled", "hec=4": "Invalid token", "hec=7": "Incorrect index", "hec=8": "Internal server error",
		"hec=9": "Server is busy", "hec=26": "at capacity", "hec=23": "shutting down",
	})...)
	for code, text := range map[int]string{
		6: "Invalid data format", 12: "Event field is required", 13: "Event field cannot be blank", 15: "Error in handling indexed fields",
	} {
		add(faultCase{
			name: fmt.Sprintf("splunk-hec-%d-poison", code), kind: "splunk", fault: fmt.Sprintf("hec=%d:match=POISON-", code),
			refused: poison, status: 400, answer: text,
		})
	}
	add(
		faultCase{
			name: "splunk-hec-7-routed", kind: "splunk", keys: `index: "zt-{event_type}", index_default: zt-other`,
			fault: "hec=7:match=POISON-", refused: poison, status: 400, answer: "Incorrect index",
		},
		faultCase{name: "splunk-hec-24", kind: "splunk", fault: "hec=24"},
		faultCase{name: "splunk-ack", kind: "splunk", keys: "ack: true", opts: plugintest.Options{Ack: true}},
		faultCase{name: "splunk-ack-reset-after", kind: "splunk", keys: "ack: true", opts: plugintest.Options{Ack: true}, fault: "reset_after:n=1:match=event_id", repeats: oneBatch},
		faultCase{name: "splunk-raw-503", kind: "splunk", keys: "mode: raw", fault: "503", held: true, says: "503"},
	)
	for _, kind := range []string{"splunk", "elastic", "http"} {
		add(faultCase{name: kind + "-expired", kind: kind, opts: plugintest.Options{TLS: true}, fault: "expired", held: true, says: "expired"})
	}
	for _, kind := range []string{"syslog", "cef", "leef"} {
		tls := plugintest.Options{Transport: "tls"}
		add(
			faultCase{name: kind + "-expired", kind: kind, opts: tls, fault: "expired", held: true, says: "expired"},
			faultCase{name: kind + "-tls-refuse", kind: kind, opts: tls, fault: "refuse", held: true, says: "refused"},
			faultCase{name: kind + "-tls-reset-before", kind: kind, opts: tls, fault: "reset_before:n=3", repeats: anyTimes},
			faultCase{name: kind + "-tls-reset-after", kind: kind, opts: tls, fault: "reset_after:n=3", repeats: anyTimes},
			faultCase{name: kind + "-tls-slow", kind: kind, opts: tls, fault: "slow=1ms"},
			faultCase{name: kind + "-tls-hang", kind: kind, opts: tls, fault: "hang:n=1", repeats: anyTimes, lift: []string{"refuse"}},
			faultCase{name: kind + "-refuse", kind: kind, fault: "refuse", held: true, says: "refused"},
			faultCase{name: kind + "-slow", kind: kind, fault: "slow=1ms"},
			faultCase{name: kind + "-reset-before", kind: kind, fault: "reset_before:n=3", repeats: anyTimes},
			faultCase{name: kind + "-reset-after", kind: kind, fault: "reset_after:n=3", repeats: anyTimes},
			// The mock's socket takes bytes and nobody reads them: only a broken connection brings them back.
			faultCase{name: kind + "-hang", kind: kind, fault: "hang:n=1", repeats: anyTimes, lift: []string{"refuse"}},
		)
	}
	return cases
}

func TestFaultMatrix(t *testing.T) {
	t.Parallel()
	cases := faultCases()
	receivers, outputs := startFaults(t, cases)
	runFaults(t, startBench(t, outputs), cases, receivers)
}

// startFaults starts a mock for each case, and writes the outputs section that feeds them.
func startFaults(t *testing.T, cases []faultCase) (map[string]*plugintest.Receiver, string) {
	t.Helper()
	receivers := map[string]*plugintest.Receiver{}
	var outputs strings.Builder
	outputs.WriteString("outputs:\n")
	for _, c := range cases {
		if receivers[c.name] != nil {
			t.Fatalf("two cases are called %s", c.name)
		}
		c.opts.Fault = c.fault
		r := startReceiver(t, c.kind, c.opts)
		receivers[c.name] = r
		if ca := r.CA(); ca != nil {
			path := filepath.Join(t.TempDir(), "ca.pem")
			writeFile(t, path, string(ca))
			c.keys = "tls: {ca_file: " + path + "}"
			if c.opts.Transport == "tls" {
				c.keys += ", transport: tls"
			}
		}
		fmt.Fprintf(&outputs, "  %s: {type: %s, endpoint: %q, batch: {max_events: %d, max_wait: 20ms}, retry: {initial: 20ms, max: 100ms}", c.name, c.kind, r.URL(), faultBatch)
		if c.kind == "splunk" {
			outputs.WriteString(", token: T0K")
		}
		if c.keys != "" {
			outputs.WriteString(", " + c.keys)
		}
		outputs.WriteString("}\n")
	}
	return receivers, outputs.String()
}

// runFaults posts the stream and sees all cases through at the same time.
func runFaults(t *testing.T, b *bench, cases []faultCase, receivers map[string]*plugintest.Receiver) {
	t.Helper()
	w := startWatch(t, b)
	lines, ids := faultStream()
	if err := b.post(lines); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for _, c := range cases {
		all.Go(func() {
			if err := c.run(b, w, receivers[c.name], ids); err != nil {
				t.Errorf("%s: %v\n%s", c.name, err, b.log("="+c.name+" "))
			}
		})
	}
	all.Wait()
	if text := w.trouble(); text != "" {
		t.Error(text)
	}
	if n, err := b.metric("siemd_unaccounted_events"); err != nil || n != 0 {
		t.Errorf("siemd_unaccounted_events is %v, %v", n, err)
	}
	w.stop()
	b.stop()
}

const faultPatience = 90 * time.Second

// run looks at one case from the beginning to the end.
func (c *faultCase) run(b *bench, w *watch, r *plugintest.Receiver, ids []string) error {
	if c.held {
		if err := c.whileHeld(w, r); err != nil {
			return err
		}
	}
	if c.held || c.lift != nil {
		for _, fault := range append(c.lift, "") {
			if err := r.SetFault(fault); err != nil {
				return err
			}
		}
		if c.mend != nil {
			c.mend()
		}
	}
	at, err := w.await(faultPatience, c.name, "nothing is pending", func(c connection) bool { return c.Pending == 0 && c.Accepted == faultEvents })
	if err != nil {
		return err
	}
	if want := (figures{Sent: faultEvents - len(c.refused), Failed: len(c.refused)}); at.figures() != want {
		return fmt.Errorf("it ended with %+v, want %+v", at, want)
	}
	if !c.held && !strings.Contains(b.log("="+c.name+" "), c.says) {
		return fmt.Errorf("the log does not say %q", c.says)
	}
	if err := c.checkFailed(b); err != nil {
		return err
	}
	if err := c.checkTaken(r, without(without(ids, c.refused), c.swallows)); err != nil {
		return err
	}
	if c.refused == nil {
		return nil
	}
	return c.retry(b, w, r, ids)
}

// whileHeld: the fault was met, and cost nothing.
func (c *faultCase) whileHeld(w *watch, r *plugintest.Receiver) error {
	failures := 2
	if strings.HasPrefix(c.fault, "hang") || strings.Contains(c.fault, "retry_after") {
		failures = 1 // a second one takes long
	}
	at, err := w.await(faultPatience, c.name, "failures", func(s connection) bool { return s.Failures >= failures })
	if err != nil {
		return err
	}
	if want := (figures{Pending: faultEvents}); at.figures() != want {
		return fmt.Errorf("the fault lasts, and it has %+v, want %+v", at, want)
	}
	if at.Health == "healthy" || !strings.Contains(at.LastError, c.says) {
		return fmt.Errorf("its health is %s because of %q, want %q in it", at.Health, at.LastError, c.says)
	}
	if strings.Contains(c.fault, "retry_after=2") && at.NextTry.Sub(at.LastErrorAt) < 2*time.Second {
		return fmt.Errorf("it will try again after %v, and was asked to wait 2s", at.NextTry.Sub(at.LastErrorAt))
	}
	if s := r.Stats(); s.Events != 0 {
		return fmt.Errorf("the mock took something: %+v", s)
	}
	return nil
}

// checkFailed compares the failed store, on disk, with what was refused.
func (c *faultCase) checkFailed(b *bench) error {
	entries, err := b.failed(c.name)
	if err != nil {
		return err
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.EventID)
		if e.Status != c.status || !strings.Contains(e.Answer, c.answer) || e.Attempts < 1 || e.ConnectionID != c.name || e.Seq == 0 || len(e.Event) == 0 || e.Endpoint == "" {
			return fmt.Errorf("failed entry %+v, want status %d and %q", e, c.status, c.answer)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, c.refused) {
		return fmt.Errorf("the failed store has %v, want %v", got, c.refused)
	}
	return nil
}

// checkTaken compares what the mock took with what it should have got.
func (c *faultCase) checkTaken(r *plugintest.Receiver, want []string) error {
	deadline := time.Now().Add(faultPatience)
	for {
		// Syslog has sent what the peer's TCP has, before the mock has read it.
		n, err := repeats(r, want)
		switch {
		case err == nil && (n < c.repeats.from || n > c.repeats.to):
			return fmt.Errorf("%d events arrived again, want %d to %d", n, c.repeats.from, c.repeats.to)
		case err == nil:
			return nil
		case time.Now().After(deadline):
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// retry: once the SIEM likes them, failed events can be sent again.
func (c *faultCase) retry(b *bench, w *watch, r *plugintest.Receiver, ids []string) error {
	if err := r.SetFault(""); err != nil {
		return err
	}
	if err := b.call("POST", "/api/v1/siem/retry-failed?connection="+c.name, nil); err != nil {
		return err
	}
	_, err := w.await(faultPatience, c.name, "everything is sent", func(c connection) bool { return c.figures() == figures{Sent: len(ids)} })
	if err != nil {
		return err
	}
	c.refused = nil
	if err := c.checkFailed(b); err != nil {
		return err
	}
	return c.checkTaken(r, ids)
}

func without(ids, less []string) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return slices.Contains(less, id) })
}
