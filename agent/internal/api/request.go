package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/adrian207/siemd/agent"
)

// A parameter is a key of the query.
type parameter struct {
	name, kind, brief string // kind: string, integer, number, boolean, duration
}

const maxBody = 4 << 20

// decode reads the body into v, a pointer to a struct: strictly, a whole body
// of one JSON value, whose type is said to be JSON.
func (c *call) decode(v any) error {
	data, err := c.body()
	if err != nil {
		return err
	}
	if len(data) == 0 {
		return fail(http.StatusBadRequest, "the body is empty", "it takes a JSON object")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return jsonMistake(err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return fail(http.StatusBadRequest, "the body is not one JSON object", "something follows it")
	}
	return nil
}

// checkType wants a body to say that it is JSON if the caller is known by a
// certificate, which a browser sends by itself: a web page cannot send that type
// across origins without being asked first. Nor can it send a token, or use the socket.
func (c *call) checkType(unix bool) error {
	if c.ContentLength == 0 || unix || c.Request.Header.Get("Authorization") != "" {
		return nil
	}
	kind, _, err := mime.ParseMediaType(c.Request.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" && !strings.HasSuffix(kind, "+json") {
		return fail(http.StatusUnsupportedMediaType, "the body must be JSON and say so", "send Content-Type: application/json")
	}
	return nil
}

// body is the whole body.
func (c *call) body() ([]byte, error) { return c.bodyUpTo(maxBody) }

func (c *call) bodyUpTo(limit int64) ([]byte, error) {
	control := http.NewResponseController(c.w)
	_ = control.SetReadDeadline(time.Now().Add(c.patience)) // a connection always can
	data, err := io.ReadAll(http.MaxBytesReader(c.w, c.Request.Body, limit))
	_ = control.SetReadDeadline(time.Time{})
	c.whole = err == nil
	if err != nil {
		var tooBig *http.MaxBytesError
		switch {
		case errors.As(err, &tooBig):
			return nil, err
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, fail(http.StatusRequestTimeout, "the body did not come in time", "within %s", c.patience)
		}
		return nil, fail(http.StatusBadRequest, "the body could not be read", "%s", err)
	}
	if len(data) == 0 {
		return nil, nil
	}
	if e := c.Request.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return nil, fail(http.StatusUnsupportedMediaType, "the body must not be compressed", "send it without Content-Encoding")
	}
	return data, nil
}

func jsonMistake(err error) *problem {
	var (
		wrongType *json.UnmarshalTypeError
		syntax    *json.SyntaxError
		p         *problem
	)
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &wrongType):
		return wrong("/"+strings.ReplaceAll(wrongType.Field, ".", "/"), "", "%s does not fit here: want %s", given(wrongType.Value), goKind(wrongType.Type.Kind().String()))
	case errors.As(err, &syntax):
		return fail(http.StatusBadRequest, "the body is not valid JSON", "%s, at byte %d", syntax, syntax.Offset)
	}
	if key, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		name, _ := strconv.Unquote(key)
		return wrong("/"+escapePointer(name), "", "unknown field %s", key)
	}
	return fail(http.StatusBadRequest, "the body is not valid JSON", "%s", strings.TrimPrefix(err.Error(), "json: "))
}

// given is what encoding/json calls a value that it found, with its article.
func given(value string) string {
	switch {
	case value == "array" || value == "object":
		return "an " + value
	case strings.HasPrefix(value, "number "):
		return "the " + value
	}
	return "a " + value
}

// goKind says in JSON's words what Go calls otherwise.
func goKind(kind string) string {
	switch kind {
	case "slice":
		return "an array"
	case "struct", "map":
		return "an object"
	case "bool":
		return "true or false"
	case "string":
		return "a string"
	case "float64":
		return "a number"
	}
	return "a whole number"
}

func escapePointer(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// query checks that there are no unknown or repeated keys.
func (c *call) checkQuery() error {
	known := make([]string, 0, len(c.route.query))
	for _, p := range c.route.query {
		known = append(known, p.name)
	}
	for key, values := range c.URL.Query() {
		if !slices.Contains(known, key) {
			hint := "this endpoint takes none"
			if len(known) > 0 {
				hint = "it takes " + strings.Join(known, ", ")
			}
			if near := agent.Nearest(key, known); near != "" {
				hint = fmt.Sprintf("did you mean %q?", near)
			}
			return wrong("?"+key, hint, "unknown key %q in the query", key)
		}
		if len(values) > 1 && key != "id" {
			return wrong("?"+key, "", "%q is given twice", key)
		}
	}
	return nil
}

func (c *call) param(key string) string { return c.URL.Query().Get(key) }

// number is an integer of the query between low and high.
func (c *call) number(key string, fallback, low, high int) (int, error) {
	text := c.param(key)
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return 0, wrong("?"+key, "", "%q is not a whole number from %d to %d", text, low, high)
	}
	return n, nil
}

// flag is a truth value of the query.
func (c *call) flag(key string) (bool, error) {
	switch text := c.param(key); strings.ToLower(text) {
	case "":
		return false, nil
	case "true", "1":
		return true, nil
	case "false", "0":
		return false, nil
	default:
		return false, wrong("?"+key, "true or false", "%q is not a boolean", text)
	}
}

// wait is a duration of the query, "5s" or a number of seconds.
func (c *call) wait(fallback, most time.Duration) (time.Duration, error) {
	text := c.param("wait")
	if text == "" {
		return fallback, nil
	}
	var d agent.Duration
	err := d.UnmarshalText([]byte(text))
	if err != nil {
		var seconds float64
		if seconds, err = strconv.ParseFloat(text, 64); err == nil && seconds >= 0 && seconds < 1e6 {
			d = agent.Duration(seconds * float64(time.Second))
		} else {
			return 0, wrong("?wait", "for example 5s", "%q is not a duration", text)
		}
	}
	if d.D() > most {
		return 0, wrong("?wait", "", "%s is more than %s", d, agent.Duration(most))
	}
	return d.D(), nil
}
