package http

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// TestVectors holds the input to the ingest vectors.
func TestVectors(t *testing.T) {
	files, err := filepath.Glob("testdata/vectors/*.json")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d vectors, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			var v struct {
				Input struct {
					Method, Path, Body string
					Body64             string `json:"body_b64"`
					Headers            map[string]string
				}
				Expect struct {
					Status int
					Body   any
					Events int `json:"events_accepted"`
				}
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(text, &v); err != nil {
				t.Fatal(err)
			}
			r := start(t, nil)
			body := v.Input.Body
			if v.Input.Body64 != "" {
				b, err := base64.StdEncoding.DecodeString(v.Input.Body64)
				if err != nil {
					t.Fatal(err)
				}
				body = string(b)
			}
			var headers []string
			for k, val := range v.Input.Headers {
				headers = append(headers, k+": "+val)
			}
			path := v.Input.Path
			if path == "/ingest" {
				path = "/v1/events"
			}
			status, answer, _ := r.do(v.Input.Method, path, body, headers...)
			if status != v.Expect.Status {
				t.Errorf("status %d, want %d: %s", status, v.Expect.Status, answer)
			}
			if n := len(r.sink.Lines()); n != v.Expect.Events {
				t.Errorf("%d events taken, want %d", n, v.Expect.Events)
			}
			compareAnswer(t, answer, v.Expect.Body)
		})
	}
}

// compareAnswer: a text is exact, an object is a subset, where a number stands for the length of a list.
func compareAnswer(t *testing.T, answer string, want any) {
	t.Helper()
	switch want := want.(type) {
	case string:
		if answer != want {
			t.Errorf("answer %s, want %s", answer, want)
		}
	case map[string]any:
		var got map[string]any
		if err := json.Unmarshal([]byte(answer), &got); err != nil {
			t.Fatalf("answer %s: %v", answer, err)
		}
		compareSubset(t, got, want)
	}
}

func compareSubset(t *testing.T, got, want map[string]any) {
	t.Helper()
	for k, w := range want {
		g := got[k]
		if list, ok := g.([]any); ok {
			g = float64(len(list))
		}
		if sub, ok := w.(map[string]any); ok {
			inner, _ := g.(map[string]any)
			compareSubset(t, inner, sub)
		} else if !reflect.DeepEqual(g, w) {
			t.Errorf("%s is %v, want %v", k, g, w)
		}
	}
}
