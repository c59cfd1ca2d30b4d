package api

import (
	"encoding/base64"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/delivery"
	"github.com/adrian207/siemd/agent/internal/intake"
)

// failedQuery picks failed events; its conditions are ANDed.
var failedQuery = []parameter{
	{"connection", "string", "Only of this one."},
	{"id", "string", "Only the entry with this id; may be repeated."},
	{"event_type", "string", "Only events of this type."},
	{"severity", "string", "Only events of at least this severity."},
	{"max_age_hours", "number", "Only events that were refused in the last so many hours."},
	{"match", "string", "Only events that hold this text, or whose answer does, in any case."},
}

// limitParameter bounds what is done to failed events.
var limitParameter = parameter{"limit", "integer", "Most events of each connection, the oldest; all if not said."}

// pageQuery walks a list.
var pageQuery = []parameter{
	{"limit", "integer", "Most items of a page; 100 if not said, at most 1000."},
	{"cursor", "string", "The next of the page before."},
}

var failedRoutes = []route{
	{
		method: "GET", path: prefix + "/failed", scope: scopeRead, brief: "Events that a SIEM refused, page by page.", answer: page[delivery.Entry]{},
		query: slices.Concat(pageQuery, failedQuery), status: []int{404}, serve: (*Server).failed,
	},
	{
		method: "GET", path: prefix + "/failed/{connection}/{id}", scope: scopeRead, brief: "One failed event.", answer: delivery.Entry{},
		status: []int{404}, serve: (*Server).failedEntry,
	},
	{
		method: "GET", path: prefix + "/failed/export", scope: scopeRead, brief: "Failed events, one JSON object a line.", stream: "application/x-ndjson", answer: delivery.Entry{},
		query: failedQuery, status: []int{404}, serve: (*Server).exportFailed,
	},
	{
		method: "DELETE", path: prefix + "/failed", scope: scopeWrite, brief: "Remove failed events for good; they count as expired.", answer: purgeAnswer{},
		query: append([]parameter{limitParameter}, failedQuery...), status: []int{404}, serve: (*Server).purgeFailed,
	},
	{
		method: "POST", path: prefix + "/failed/purge", scope: scopeWrite, brief: "The same, for those who cannot send DELETE; it wants a condition or all=true.", answer: purgeAnswer{},
		query: append([]parameter{allParameter, limitParameter}, failedQuery...), status: []int{404}, serve: (*Server).purgeFailed,
	},
	{
		method: "GET", path: prefix + "/refused", scope: scopeRead, brief: "Lines that could not become events, page by page.", answer: page[intake.RefusedLine]{},
		query: append([]parameter{
			{"input", "string", "Only of this input."},
			{"reason", "string", "Only with this reason."},
			{"match", "string", "Only lines that hold this text, in any case."},
			{"max_age_hours", "number", "Only lines of the last so many hours."},
		}, pageQuery...), serve: (*Server).refused,
	},
}

var allParameter = parameter{"all", "boolean", "Needed to remove the failed events of all connections."}

// page is a part of a list.
type page[T any] struct {
	Items []T     `json:"items" doc:"The items."`
	Next  *string `json:"next" doc:"The cursor of the next page; null on the last."`
}

const (
	pageSize    = 100
	pageSizeMax = 1000
)

// failedFilter reads failedQuery; hours is the age if none is given, 0: any.
func (c *call) failedFilter(hours float64) (delivery.FailedFilter, error) {
	q := c.URL.Query()
	f := delivery.FailedFilter{IDs: q["id"], EventType: q.Get("event_type"), Match: q.Get("match")}
	if text := q.Get("severity"); text != "" {
		sev, ok := agent.ParseSeverity([]byte(text))
		if !ok {
			return f, wrong("?severity", "informational, low, medium, high or critical", "%q is not a severity", text)
		}
		f.Severity = sev
	}
	var err error
	f.MaxAge, err = c.hours(hours)
	return f, err
}

// limitedFilter is failedFilter with limitParameter.
func (c *call) limitedFilter(hours float64) (f delivery.FailedFilter, err error) {
	if f, err = c.failedFilter(hours); err == nil && c.param("limit") != "" {
		f.Limit, err = c.number("limit", 0, 1, math.MaxInt32)
	}
	return f, err
}

// hours is max_age_hours of the query.
func (c *call) hours(fallback float64) (time.Duration, error) {
	hours := fallback
	if text := c.param("max_age_hours"); text != "" {
		h, err := strconv.ParseFloat(text, 64)
		if err != nil || !(h > 0) || h > 24*36500 {
			return 0, wrong("?max_age_hours", "", "%q is not a number of hours", text)
		}
		hours = h
	}
	return time.Duration(math.Round(hours * float64(time.Hour))), nil
}

func (s *Server) failed(c *call) error {
	filter, err := c.failedFilter(0)
	if err != nil {
		return err
	}
	limit, err := c.number("limit", pageSize, 1, pageSizeMax)
	if err != nil {
		return err
	}
	from, after, err := readCursor(c.param("cursor"))
	if err != nil {
		return err
	}
	entries, more, err := s.agent.Failed(c.param("connection"), filter, from, after, limit)
	if err != nil {
		return err
	}
	p := page[delivery.Entry]{Items: entries}
	if entries == nil {
		p.Items = []delivery.Entry{}
	}
	if more {
		last := entries[len(entries)-1]
		p.Next = text(base64.RawURLEncoding.EncodeToString([]byte(last.ConnectionID + "/" + last.ID)))
	}
	return c.json(http.StatusOK, p)
}

// readCursor takes apart what failed has made.
func readCursor(cursor string) (connection, id string, err error) {
	if cursor == "" {
		return "", "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	connection, id, ok := strings.Cut(string(raw), "/")
	if err != nil || !ok {
		return "", "", wrong("?cursor", "take it from the page before", "this is not a cursor of this list")
	}
	return connection, id, nil
}

func (s *Server) failedEntry(c *call) error {
	e, ok, err := s.agent.FailedEntry(c.PathValue("connection"), c.PathValue("id"))
	if err != nil {
		return err
	}
	if !ok {
		return fail(http.StatusNotFound, "there is no such failed event", "it may have been sent, purged or too old")
	}
	return c.json(http.StatusOK, e)
}

func (s *Server) exportFailed(c *call) error {
	filter, err := c.failedFilter(0)
	if err != nil {
		return err
	}
	out := &lazyWriter{c: c, kind: "application/x-ndjson"}
	if err := s.agent.ExportFailed(out, c.param("connection"), filter); err != nil {
		return err
	}
	_, err = out.Write(nil) // an empty list is an answer too
	return err
}

// lazyWriter begins the answer with the first byte, so that until then an error can be told.
type lazyWriter struct {
	c    *call
	kind string
}

func (w *lazyWriter) Write(p []byte) (int, error) {
	if !w.c.begun {
		w.c.begun = true
		w.c.w.Header().Set("Content-Type", w.kind)
		w.c.w.WriteHeader(http.StatusOK)
	}
	w.c.hurry() // each part anew
	return w.c.w.Write(p)
}

type purgeAnswer struct {
	Message string         `json:"message" doc:"For people."`
	Removed map[string]int `json:"removed" doc:"By connection."`
}

func (s *Server) purgeFailed(c *call) error {
	filter, err := c.limitedFilter(0)
	if err != nil {
		return err
	}
	all, err := c.flag("all")
	if err != nil {
		return err
	}
	if c.Method == http.MethodPost && !all && len(c.URL.Query()) == 0 {
		return wrong("?all", "?connection=NAME, or ?all=true", "this would remove all failed events of all connections")
	}
	a := purgeAnswer{Removed: map[string]int{}}
	err = s.agent.Audited(c.who.Actor, "purge failed", c.URL.RawQuery, func() (string, error) {
		removed, err := s.agent.PurgeFailed(c.param("connection"), filter)
		n := 0
		for name, k := range removed {
			a.Removed[name] = k
			n += k
		}
		a.Message = fmt.Sprintf("%d failed events removed", n)
		return a.Message, err
	})
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, a)
}

func (s *Server) refused(c *call) error {
	limit, err := c.number("limit", pageSize, 1, pageSizeMax)
	if err != nil {
		return err
	}
	hours, err := c.hours(0)
	if err != nil {
		return err
	}
	f := intake.RefusedFilter{Input: c.param("input"), Reason: c.param("reason"), Match: c.param("match")}
	if hours > 0 {
		f.Since = s.now().Add(-hours)
	}
	lines, next, err := s.agent.Refused(f, c.param("cursor"), limit)
	if err != nil {
		return wrong("?cursor", "take it from the page before", "%s", err)
	}
	if lines == nil {
		lines = []intake.RefusedLine{}
	}
	return c.json(http.StatusOK, page[intake.RefusedLine]{Items: lines, Next: text(next)})
}
