package elastic

import (
	"strings"
	"testing"
)

// What holds everything comes with what mends it.
func TestFixOfItems(t *testing.T) {
	for want, it := range map[string]item{
		"op: create":      {Status: 400, Type: "illegal_argument_exception", Reason: "only write ops with an op_type of create are allowed in data streams"},
		"ingest pipeline": {Status: 400, Type: "illegal_argument_exception", Reason: "pipeline with id [x] does not exist"},
		"make room":       {Status: 429, Type: "cluster_block_exception", Reason: "flood-stage watermark"},
		"create the":      {Status: 404, Type: "index_not_found_exception"},
		"privileges":      {Status: 403, Type: "security_exception"},
	} {
		if judge(it, "create") != held || !strings.Contains(it.fix(), want) {
			t.Errorf("%+v: verdict %d, fix %q, want %q", it, judge(it, "create"), it.fix(), want)
		}
	}
	if got := (item{Status: 401}).fix(); got != "" {
		t.Errorf("a status that says it: %q", got)
	}
}
