package api

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/adrian207/siemd/agent"
)

// fromJSON is a decoded JSON value for YAML, with every text escaped.
func fromJSON(v any) any {
	switch x := v.(type) {
	case string:
		return escape(x)
	case json.Number:
		if i, err := strconv.ParseInt(x.String(), 10, 64); err == nil {
			return i
		}
		f, _ := x.Float64()
		return f
	case map[string]any:
		out := make(map[string]any, len(x))
		for k, e := range x {
			out[k] = fromJSON(e)
		}
		return out
	case []any:
		out := make([]any, len(x))
		for i, e := range x {
			out[i] = fromJSON(e)
		}
		return out
	}
	return v
}

func nearestHint(word string, list []string) string {
	if near := agent.Nearest(word, list); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "one of " + strings.Join(list, ", ")
}

// sameValue compares what two configs have at a key.
func sameValue(a, b any, path string) bool {
	x, okX := lookup(reflect.ValueOf(a), path)
	y, okY := lookup(reflect.ValueOf(b), path)
	return okX == okY && (!okX || reflect.DeepEqual(x.Interface(), y.Interface()))
}
