package elastic

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/httpx"
	fastjson "github.com/adrian207/siemd/codecs/json"
)

// An item is what the target says about one event.
type item struct {
	Status       int
	Type, Reason string // of the error
	FailureStore string
}

// allTaken looks whether body is the usual answer: n items, each of which was
// taken, now or earlier. It does not parse: text from an event cannot look like
// this, for its quotes are escaped. ok is false for anything unusual.
func allTaken(body []byte, n int, op string) (c counts, ok bool) {
	const opening, closing = `"items":[`, "]}"
	body = bytes.TrimRight(body, " \r\n")
	at := bytes.Index(body, []byte(opening))
	if at < 0 || !bytes.Contains(body[:at], []byte(`"errors":`)) || !bytes.HasSuffix(body, []byte(closing)) {
		return counts{}, false
	}
	items := body[at+len(opening) : len(body)-len(closing)]
	if one, ok := alike(items, n); ok {
		c, ok = itemsTaken(one, 1, op)
		return counts{c.duplicates * n, c.failureStore * n}, ok
	}
	return itemsTaken(items, n, op)
}

// alike is one of n items, if they are all the same, as they are nearly always:
// the list is then the same as itself, moved on by one item.
func alike(items []byte, n int) (one []byte, ok bool) {
	if n < 2 || (len(items)+1)%n != 0 {
		return nil, false
	}
	each := (len(items) + 1) / n // with a comma
	if items[each-1] != ',' || !bytes.Equal(items[each:], items[:len(items)-each]) {
		return nil, false
	}
	return items[:each-1], true
}

// itemsTaken is allTaken for the items alone.
func itemsTaken(items []byte, n int, op string) (c counts, ok bool) {
	status := []byte(`"status":`)
	for rest := items; ; n-- {
		at := bytes.Index(rest, status)
		if at < 0 {
			break
		}
		rest = rest[at+len(status):]
		switch {
		case len(rest) < 4 || rest[3] != ',' && rest[3] != '}':
			return counts{}, false
		case string(rest[:3]) == "201" || string(rest[:3]) == "200":
		case string(rest[:3]) == "409" && op == "create":
			c.duplicates++
		default:
			return counts{}, false
		}
	}
	c.failureStore = bytes.Count(items, []byte(`"failure_store":"used"`))
	return c, n == 0
}

// parse reads the items of a bulk answer; ok is false if it is none. Most items
// of an answer are the same as the one before and are not read again.
func parse(body []byte) (items []item, ok bool) {
	if !json.Valid(body) {
		return nil, false
	}
	errors, _ := fastjson.Get(body, "errors")
	list, _ := fastjson.Get(body, "items")
	if fastjson.KindOf(errors) != fastjson.Bool || fastjson.KindOf(list) != fastjson.Array {
		return nil, false
	}
	items, ok = []item{}, true
	var it item
	var last []byte
	fastjson.Elements(list, func(text []byte) bool {
		if !bytes.Equal(text, last) {
			if it, ok = parseItem(text); !ok {
				return false
			}
			last = text
		}
		items = append(items, it)
		return true
	})
	return items, ok
}

// parseItem reads one item: an object with the operation for its only key.
func parseItem(text []byte) (it item, ok bool) {
	var of map[string]struct {
		Status       int             `json:"status"`
		Error        json.RawMessage `json:"error"`
		FailureStore string          `json:"failure_store"`
	}
	if json.Unmarshal(text, &of) != nil || len(of) != 1 {
		return item{}, false
	}
	for _, r := range of {
		it = item{Status: r.Status, FailureStore: r.FailureStore}
		it.Type, it.Reason = cause(r.Error)
	}
	return it, true
}

// cause reads an error object, or the mere text that old releases send.
func cause(raw json.RawMessage) (kind, reason string) {
	if len(raw) == 0 {
		return "", ""
	}
	var e struct {
		Type     string `json:"type"`
		Reason   string `json:"reason"`
		CausedBy struct {
			Reason string `json:"reason"`
		} `json:"caused_by"`
	}
	if json.Unmarshal(raw, &e) != nil {
		var text string
		if json.Unmarshal(raw, &text) != nil {
			text = string(raw)
		}
		return "", text
	}
	if by := e.CausedBy.Reason; by != "" && !strings.Contains(e.Reason, by) {
		e.Reason += " (" + by + ")"
	}
	return e.Type, e.Reason
}

// A verdict is what an item means for its event.
type verdict uint8

const (
	taken     verdict = iota
	duplicate         // it was there already: taken, earlier
	refused           // this event will never be taken
	suspected         // perhaps this event
	held              // a person must act
	retried           // nothing is known
)

// How refusals begin whose status blames the event while the config is at
// fault. What follows may quote the event, which must not decide.
var configFaults = []string{
	"only write ops with an op_type of create are allowed in data streams",
	"Document ID is not supported in create/index operation request", // OpenSearch Serverless
	"pipeline with id [", // does not exist
	"request [/_bulk] contains unrecognized parameter",
}

func judge(it item, op string) verdict {
	switch s := it.Status; {
	case s >= 200 && s < 300:
		return taken
	case s == http.StatusConflict:
		if op == "create" {
			return duplicate
		}
		return retried
	case it.Type == "cluster_block_exception":
		// The disk is full, or somebody made the index read-only. Time does not mend it.
		return held
	case s == http.StatusBadRequest:
		for _, text := range configFaults {
			if it.Type == "illegal_argument_exception" && strings.HasPrefix(it.Reason, text) {
				return held
			}
		}
		return refused
	case s == http.StatusRequestEntityTooLarge:
		return refused
	case s == http.StatusInternalServerError:
		return suspected
	case s == http.StatusRequestTimeout || s == http.StatusTooManyRequests || s >= 500:
		return retried
	case s >= 300:
		return held
	}
	return retried
}

// fix is what a person can do about an item that holds everything; empty if the status says it.
func (it item) fix() string {
	switch {
	case it.Type == "cluster_block_exception":
		return "the index takes no writes: make room on the cluster's disks, and see whether index.blocks is set on it"
	case it.Type == "index_not_found_exception":
		return "create the index, or allow the cluster to create it"
	case it.Type == "security_exception":
		return fixPermission
	case strings.HasPrefix(it.Reason, "only write ops"):
		return "the target is a data stream: set op: create"
	case strings.HasPrefix(it.Reason, "pipeline with id ["):
		return "create the ingest pipeline, or check the name under pipeline"
	}
	return ""
}

// text is the item's error for people.
func (it item) text() string {
	switch {
	case it.Type == "":
		return it.Reason
	case it.Reason == "" || it.Reason == it.Type:
		return it.Type
	}
	return it.Type + ": " + it.Reason
}

// counts of a request's items.
type counts struct{ duplicates, failureStore int }

// settle turns the items of an answer into what Write returns.
func settle(resp *httpx.Response, items []item, op string) (counts, error) {
	var c counts
	var failed []agent.EventError
	for i, it := range items {
		v := judge(it, op)
		switch v {
		case taken:
			if it.FailureStore == "used" {
				c.failureStore++
			}
			continue
		case duplicate:
			c.duplicates++
			continue
		}
		said := resp.Item(it.Status, it.text())
		err := error(said)
		switch v {
		case refused:
			err = agent.Permanent(err)
		case suspected:
			err = agent.Suspect(err)
		case held:
			said.Fix = it.fix()
			err = agent.Blocked(err)
		}
		failed = append(failed, agent.EventError{Index: i, Err: err})
	}
	if failed == nil {
		return c, nil
	}
	return c, &agent.PartialError{Failed: failed}
}

// whole is the error for an answer that is not about single events.
func whole(resp *httpx.Response) error {
	if resp.Status != http.StatusBadRequest {
		return resp.Err()
	}
	var answer struct {
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(resp.Body, &answer) != nil || len(answer.Error) == 0 {
		// Not the target's own: a proxy, perhaps because of what an event holds.
		return agent.Suspect(resp.Answer())
	}
	it := item{Status: resp.Status}
	it.Type, it.Reason = cause(answer.Error)
	err := resp.Item(resp.Status, it.text())
	if judge(it, "") == held {
		err.Fix = it.fix()
		return resp.Blame(agent.Blocked(err))
	}
	// One bad action line fails all: halving finds it.
	return agent.Permanent(err)
}
