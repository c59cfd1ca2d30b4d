package http

import (
	"net/http"
	"strconv"
	"strings"

	cjson "github.com/adrian207/siemd/codecs/json"
)

// What clients of Elasticsearch ask before they send anything. The version is
// one that Beats, Logstash and the official clients of 7 and 8 agree to.
const (
	elasticRoot    = `{"name":"siemd","cluster_name":"siemd","cluster_uuid":"c2llbWQtYnVsay1pbnB1dA","version":{"number":"8.17.0","build_flavor":"default","build_type":"tar","build_hash":"unknown","build_date":"2024-12-11T12:00:00.000000000Z","build_snapshot":false,"lucene_version":"9.12.0","minimum_wire_compatibility_version":"7.17.0","minimum_index_compatibility_version":"7.0.0"},"tagline":"You Know, for Search"}`
	elasticLicense = `{"license":{"status":"active","uid":"5e5e5e5e-5e5e-4e5e-8e5e-5e5e5e5e5e5e","type":"basic","issue_date":"2024-01-01T00:00:00.000Z","issue_date_in_millis":1704067200000,"max_nodes":1000,"issued_to":"siemd","issuer":"elasticsearch","start_date_in_millis":-1}}`
	elasticXPack   = `{"build":{"hash":"unknown","date":"2024-12-11T12:00:00.000000000Z"},"license":{"uid":"5e5e5e5e-5e5e-4e5e-8e5e-5e5e5e5e5e5e","type":"basic","mode":"basic","status":"active"},"features":{"ilm":{"available":true,"enabled":true},"security":{"available":true,"enabled":true},"data_streams":{"available":true,"enabled":true}}}`
	elasticHealth  = `{"cluster_name":"siemd","status":"green","timed_out":false,"number_of_nodes":1,"number_of_data_nodes":1,"active_primary_shards":0,"active_shards":0}`
)

// serveElastic answers all but bulk requests. Templates and policies are
// agreed to and forgotten: there is no index behind this listener.
func (in *Input) serveElastic(rw *answer, req *http.Request) {
	elasticHeader(rw, req)
	if !in.elasticAdmit(rw, req) {
		return
	}
	path := strings.Trim(req.URL.Path, "/")
	text := map[string]string{"": elasticRoot, "_license": elasticLicense, "_xpack": elasticXPack, "_cluster/health": elasticHealth}[path]
	reading := req.Method == http.MethodGet || req.Method == http.MethodHead
	kind := rw.Header().Get("Content-Type")
	switch {
	case reading && text != "":
		rw.send(http.StatusOK, kind, []byte(text))
	case path == "":
		rw.Header()["Allow"] = []string{"GET,HEAD"}
		elasticError(rw, http.StatusMethodNotAllowed, "method_not_allowed_exception", "want GET or HEAD")
	case reading:
		elasticError(rw, http.StatusNotFound, "resource_not_found_exception", "there is no ["+path+"]")
	case req.Method == http.MethodPut || req.Method == http.MethodPost:
		rw.send(http.StatusOK, kind, []byte(`{"acknowledged":true}`))
	default:
		elasticError(rw, http.StatusMethodNotAllowed, "method_not_allowed_exception", "want GET, HEAD, PUT or POST")
	}
}

// elasticHeader sets what every answer carries: the product, without which
// official clients refuse to talk, and the content type that was asked for.
func elasticHeader(rw *answer, req *http.Request) {
	h := rw.Header()
	h["X-Elastic-Product"] = []string{"Elasticsearch"}
	kind := "application/json"
	for _, name := range []string{"Accept", "Content-Type"} {
		_, version, ok := strings.Cut(req.Header.Get(name), "compatible-with=")
		if n, err := strconv.Atoi(strings.TrimSpace(version)); ok && err == nil && n > 0 && n < 100 {
			kind = "application/vnd.elasticsearch+json;compatible-with=" + strconv.Itoa(n)
			break
		}
	}
	h["Content-Type"] = []string{kind}
}

func (in *Input) elasticAdmit(rw *answer, req *http.Request) bool {
	if in.tokens.check(rw, req.Header) == credentialGood {
		return true
	}
	rw.Header()["Www-Authenticate"] = []string{`Basic realm="siemd", charset="UTF-8"`, "ApiKey"}
	elasticError(rw, http.StatusUnauthorized, "security_exception", "missing or wrong authentication credentials for REST request")
	return false
}

func elasticError(rw *answer, status int, kind, reason string) {
	cause := append(append([]byte(`{"type":"`), kind...), `","reason":`...)
	cause = append(cjson.AppendString(cause, reason), '}')
	b := append(append([]byte(`{"error":{"root_cause":[`), cause...), `],`...)
	b = append(append(b, cause[1:]...), `,"status":`...)
	b = append(strconv.AppendInt(b, int64(status), 10), '}')
	rw.send(status, rw.Header().Get("Content-Type"), b)
}
