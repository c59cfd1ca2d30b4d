package plugintest

import (
	"strconv"
	"strings"
)

// itemFilter says which parts of an answer a filter_path lets through.
type itemFilter struct {
	took, errors                         bool
	index, id, version, result, status   bool
	errorType, errorReason, failureStore bool
	all                                  bool
}

// filter reads a filter_path: exact names and * for one part, ** for any.
func (e *elastic) filter(path string) *itemFilter {
	if f, ok := e.filters.Load(path); ok {
		return f.(*itemFilter)
	}
	patterns := strings.Split(path, ",")
	let := func(name string) bool {
		if path == "" {
			return true
		}
		for _, p := range patterns {
			if pathMatches(strings.Split(strings.TrimSpace(p), "."), strings.Split(name, ".")) {
				return true
			}
		}
		return false
	}
	f := &itemFilter{
		took: let("took"), errors: let("errors"),
		index: let("items.*._index"), id: let("items.*._id"), version: let("items.*._version"), result: let("items.*.result"),
		status: let("items.*.status"), errorType: let("items.*.error.type"), errorReason: let("items.*.error.reason"),
		failureStore: let("items.*.failure_store"), all: path == "",
	}
	if len(path) < 1000 {
		e.filters.Store(path, f)
	}
	return f
}

// pathMatches: a pattern that ends early lets all below it through.
func pathMatches(pattern, name []string) bool {
	switch {
	case len(pattern) == 0:
		return true
	case len(name) == 0:
		return false
	case pattern[0] == "**":
		return pathMatches(pattern[1:], name) || pathMatches(pattern, name[1:])
	case pattern[0] == "*" || pattern[0] == name[0] || name[0] == "*" && strings.Contains("index create update delete", pattern[0]):
		return pathMatches(pattern[1:], name[1:])
	}
	return false
}

// appendItem appends one item, unless the filter leaves nothing of it: then it
// vanishes and those behind it move up, as in the real thing.
func (f *itemFilter) appendItem(b []byte, a *action, r result) []byte {
	start := len(b)
	if start > 0 {
		b = append(b, ',')
	}
	b = append(b, `{"`...)
	b = append(b, a.op...)
	b = append(b, `":{`...)
	inner := len(b)
	text := func(let bool, key, value string) {
		if let && value != "" {
			b = appendJSON(f.key(b, inner, key), value)
		}
	}
	text(f.index, "_index", a.index)
	text(f.id, "_id", a.id)
	if f.version && r.word != "" {
		b = append(f.key(b, inner, "_version"), '1')
	}
	text(f.result, "result", r.word)
	if f.status {
		b = strconv.AppendInt(f.key(b, inner, "status"), int64(r.status), 10)
	}
	if r.kind != "" && (f.errorType || f.errorReason) {
		b = append(f.key(b, inner, "error"), '{')
		within := len(b)
		if f.errorType {
			b = appendJSON(f.key(b, within, "type"), r.kind)
		}
		if f.errorReason {
			b = appendJSON(f.key(b, within, "reason"), r.reason)
		}
		b = append(b, '}')
	}
	if len(b) == inner {
		return b[:start]
	}
	return append(b, '}', '}')
}

// key begins the next member of the object that began at start.
func (f *itemFilter) key(b []byte, start int, name string) []byte {
	if len(b) > start {
		b = append(b, ',')
	}
	b = append(append(b, '"'), name...)
	return append(b, '"', ':')
}

func (f *itemFilter) answer(items []byte, failed bool) []byte {
	b := make([]byte, 0, len(items)+64)
	b = append(b, '{')
	if f.took {
		b = append(f.key(b, 1, "took"), '3')
	}
	if f.errors {
		b = strconv.AppendBool(f.key(b, 1, "errors"), failed)
	}
	if len(items) > 0 || f.all {
		b = append(f.key(b, 1, "items"), '[')
		b = append(append(b, items...), ']')
	}
	return append(b, '}')
}
