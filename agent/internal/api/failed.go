package api

import (
	"encoding/base64"
	"math"
	"net/http"
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
	{"match", "string", "Only events that hold this text, or whose answer does."},
}

var failedRoutes = []route{
	{
		method: "GET", path: prefix + "/failed", scope: scopeRead, brief: "Events that a SIEM refused, page by page.", answer: page[delivery.Entry]{},
		query:  append([]parameter{{"limit", "integer", "Most items of a page; 100 if not said, at most 1000."}, {"cursor", "string", "The next of the page before."}}, failedQuery...),
		status: []int{404}, serve: (*Server).failed,
	},
	{
		method: "GET", path: prefix + "/refused", scope: scopeRead, brief: "Lines that could not become events, page by page.", answer: page[intake.RefusedLine]{},
		query: []parameter{{"limit", "integer", "Most items of a page; 100 if not said, at most 1000."}, {"cursor", "string", "The next of the page before."}},
		serve: (*Server).refused,
	},
}

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
	if text := q.Get("max_age_hours"); text != "" {
		h, err := strconv.ParseFloat(text, 64)
		if err != nil || !(h > 0) || h > 24*36500 {
			return f, wrong("?max_age_hours", "", "%q is not a number of hours", text)
		}
		hours = h
	}
	f.MaxAge = time.Duration(math.Round(hours * float64(time.Hour)))
	return f, nil
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

func (s *Server) refused(c *call) error {
	limit, err := c.number("limit", pageSize, 1, pageSizeMax)
	if err != nil {
		return err
	}
	lines, next, err := s.agent.Refused(c.param("cursor"), limit)
	if err != nil {
		return wrong("?cursor", "take it from the page before", "%s", err)
	}
	if lines == nil {
		lines = []intake.RefusedLine{}
	}
	return c.json(http.StatusOK, page[intake.RefusedLine]{Items: lines, Next: text(next)})
}
