package plugintest

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// elastic is the mock of Elasticsearch and OpenSearch: the bulk interface and
// what clients ask before they use it.
type elastic struct {
	r *Receiver

	mu      sync.Mutex // guards next
	next    int64      // for ids that the server makes
	filters sync.Map   // filter_path -> *itemFilter
}

func newElastic(r *Receiver) *elastic { return &elastic{r: r} }

// esError is an error answer as Elasticsearch words it.
func esError(status int, kind, reason string) reply {
	b := appendCause([]byte(`{"error":{"root_cause":[`), kind, reason)
	b = append(b, `],"type":`...)
	b = appendJSON(b, kind)
	b = append(b, `,"reason":`...)
	b = appendJSON(b, reason)
	b = append(b, `},"status":`...)
	return reply{status: status, body: append(strconv.AppendInt(b, int64(status), 10), '}')}
}

func appendCause(b []byte, kind, reason string) []byte {
	b = appendJSON(append(b, `{"type":`...), kind)
	b = appendJSON(append(b, `,"reason":`...), reason)
	return append(b, '}')
}

func appendJSON(b []byte, s string) []byte {
	plain := true
	for i := range len(s) {
		plain = plain && s[i] >= 0x20 && s[i] < 0x7f && s[i] != '"' && s[i] != '\\' && s[i] != '<' && s[i] != '>' && s[i] != '&'
	}
	if plain {
		return append(append(append(b, '"'), s...), '"')
	}
	text, _ := json.Marshal(s)
	return append(b, text...)
}

// esKinds are the error types that go with a status of a request or an item.
var esKinds = map[int][2]string{
	400: {"document_parsing_exception", "[1:1] failed to parse"},
	401: {"security_exception", "unable to authenticate user for REST request"},
	403: {"security_exception", "action [indices:data/write/bulk[s]] is unauthorized"},
	404: {"index_not_found_exception", "no such index"},
	409: {"version_conflict_engine_exception", "version conflict, document already exists"},
	413: {"content_too_long_exception", "entity content is too long"},
	429: {"es_rejected_execution_exception", "rejected execution of coordinating operation"},
	500: {"exception", "internal error"},
	503: {"unavailable_shards_exception", "primary shard is not active"},
}

func (e *elastic) failure(status int) reply {
	k, ok := esKinds[status]
	switch {
	case status == http.StatusRequestEntityTooLarge:
		return reply{status: status}
	case !ok:
		return reply{
			status: status, body: []byte("<html><body><h1>" + strconv.Itoa(status) + " " + http.StatusText(status) + "</h1></body></html>"),
			header: map[string]string{"Content-Type": "text/html"},
		}
	}
	return e.sign(esError(status, k[0], k[1]))
}

// sign adds the header by which clients know Elasticsearch.
func (e *elastic) sign(a reply) reply {
	if e.r.opts.OpenSearch {
		return a
	}
	if a.header == nil {
		a.header = map[string]string{}
	}
	a.header["X-Elastic-Product"] = "Elasticsearch"
	return a
}

func (e *elastic) answer(req *http.Request, body []byte, problem error) reply {
	return e.sign(e.route(req, body, problem))
}

func (e *elastic) route(req *http.Request, body []byte, problem error) reply {
	if !e.authorized(req) {
		a := esError(http.StatusUnauthorized, "security_exception", "missing or wrong authentication credentials for REST request ["+req.URL.Path+"]")
		a.header = map[string]string{"WWW-Authenticate": `Basic realm="security" charset="UTF-8"`}
		return a
	}
	path := strings.Trim(req.URL.Path, "/")
	index, bulk := strings.CutSuffix("/"+path, "/_bulk")
	if !bulk {
		return e.ask(req, path, body)
	}
	index = strings.TrimPrefix(index, "/")
	switch {
	case req.Method != http.MethodPost && req.Method != http.MethodPut:
		return esError(http.StatusMethodNotAllowed, "method_not_allowed", "Incorrect HTTP method for uri ["+req.URL.Path+"], allowed: [POST, PUT]")
	case errors.Is(problem, errTooLarge):
		return reply{status: http.StatusRequestEntityTooLarge}
	case errors.Is(problem, errEncoding):
		return esError(http.StatusBadRequest, "illegal_argument_exception", "unsupported Content-Encoding")
	case problem != nil:
		return esError(http.StatusBadRequest, "parse_exception", "request body is not gzip")
	}
	if a, ok := e.mediaType(req); !ok {
		return a
	}
	e.r.ledger.requests.Add(1)
	return e.bulk(req, index, body)
}

func (e *elastic) authorized(req *http.Request) bool {
	o := e.r.opts
	user, password, basic := req.BasicAuth()
	key, isKey := strings.CutPrefix(req.Header.Get("Authorization"), "ApiKey ")
	switch {
	case o.APIKey != "" && isKey && key == o.APIKey && !o.OpenSearch:
		return true
	case o.Username != "" && basic && user == o.Username && password == o.Password:
		return true
	}
	return o.APIKey == "" && o.Username == ""
}

// mediaType checks the content type: protocols 2.1.
func (e *elastic) mediaType(req *http.Request) (reply, bool) {
	content, accept := req.Header.Get("Content-Type"), req.Header.Get("Accept")
	kind, params, _ := strings.Cut(content, ";")
	switch kind = strings.TrimSpace(kind); kind {
	case "application/json", "application/x-ndjson":
		return reply{}, true
	case "application/vnd.elasticsearch+json", "application/vnd.elasticsearch+x-ndjson":
		if e.r.opts.OpenSearch {
			break
		}
		_, wanted, _ := strings.Cut(accept, ";")
		if strings.Contains(params, "compatible-with") && strings.TrimSpace(wanted) != strings.TrimSpace(params) {
			return esError(http.StatusBadRequest, "media_type_header_exception", "A compatible version is required on both Content-Type and Accept headers"), false
		}
		return reply{}, true
	}
	e.r.ledger.bad("content type " + content)
	body := []byte(`{"error":`)
	body = appendJSON(body, "Content-Type header ["+content+"] is not supported")
	return reply{status: http.StatusNotAcceptable, body: append(body, `,"status":406}`...)}, false
}

const (
	esRoot = `{"name":"mock","cluster_name":"mock","cluster_uuid":"bW9jay1jbHVzdGVyLXV1aQ","version":{"number":"8.17.0","build_flavor":"default","build_type":"tar","lucene_version":"9.12.0","minimum_wire_compatibility_version":"7.17.0","minimum_index_compatibility_version":"7.0.0"},"tagline":"You Know, for Search"}`
	osRoot = `{"name":"mock","cluster_name":"mock","cluster_uuid":"bW9jay1jbHVzdGVyLXV1aQ","version":{"distribution":"opensearch","number":"2.17.0","build_type":"tar","lucene_version":"9.11.1"},"tagline":"The OpenSearch Project: https://opensearch.org/"}`
)

// ask answers all but bulk requests.
func (e *elastic) ask(req *http.Request, path string, body []byte) reply {
	text := ""
	switch {
	case path == "" && e.r.opts.OpenSearch:
		text = osRoot
	case path == "":
		text = esRoot
	case path == "_cluster/health":
		text = `{"cluster_name":"mock","status":"green","timed_out":false,"number_of_nodes":1}`
	case path == "_license" && !e.r.opts.OpenSearch:
		text = `{"license":{"status":"active","uid":"00000000-0000-0000-0000-000000000000","type":"basic"}}`
	case path == "_security/_authenticate" && !e.r.opts.OpenSearch:
		text = `{"username":"mock","roles":["superuser"],"enabled":true}`
	case path == "_security/user/_has_privileges" && !e.r.opts.OpenSearch:
		text = `{"username":"mock","has_all_requested":true,"cluster":{},"index":{},"application":{}}`
	case req.Method == http.MethodPut && (strings.HasPrefix(path, "_index_template/") || strings.HasPrefix(path, "_ilm/policy/") && !e.r.opts.OpenSearch):
		if !json.Valid(body) || body[0] != '{' {
			return esError(http.StatusBadRequest, "parse_exception", "request body is required")
		}
		text = `{"acknowledged":true}`
	case !strings.HasPrefix(path, "_") && !strings.Contains(path, "/") && (req.Method == http.MethodHead || req.Method == http.MethodGet):
		return esError(http.StatusNotFound, "index_not_found_exception", "no such index ["+path+"]")
	default:
		return esError(http.StatusBadRequest, "illegal_argument_exception", "no handler found for uri ["+req.URL.Path+"] and method ["+req.Method+"]")
	}
	return reply{status: http.StatusOK, body: []byte(text)}
}

func (e *elastic) makeID() []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.next++
	return strconv.AppendInt([]byte("mock-"), e.next, 10)
}
