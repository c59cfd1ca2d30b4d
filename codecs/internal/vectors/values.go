package vectors

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"
)

// repair does what the intake does before an event reaches a codec: valid
// UTF-8, and of a key that occurs twice the last one. Text that needs none of
// it comes back as it is.
func repair(t testing.TB, raw []byte) []byte {
	t.Helper()
	fixed := bytes.ToValidUTF8(raw, []byte("\uFFFD"))
	if !bytes.Contains(fixed, []byte(`\ud8`)) && !duplicates(t, fixed) {
		return fixed
	}
	d := json.NewDecoder(bytes.NewReader(fixed))
	d.UseNumber()
	out, err := rebuild(d)
	if err != nil {
		t.Fatalf("event: %v", err)
	}
	return out
}

// duplicates reports whether the text has other members than its rebuilt form.
func duplicates(t testing.TB, raw []byte) bool {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	out, err := rebuild(d)
	if err != nil {
		t.Fatalf("event: %v", err)
	}
	return bytes.Count(out, []byte(`":`)) != bytes.Count(raw, []byte(`":`))
}

// rebuild reads one value and writes it again, without duplicate keys.
func rebuild(d *json.Decoder) ([]byte, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return quote(token)
	}
	var keys []string
	members := map[string][]byte{}
	var items [][]byte
	for d.More() {
		if delim == '{' {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			keys = append(keys, key.(string))
		}
		value, err := rebuild(d)
		if err != nil {
			return nil, err
		}
		if delim == '{' {
			members[keys[len(keys)-1]] = value
		} else {
			items = append(items, value)
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if delim == '[' {
		return append(append([]byte{'['}, bytes.Join(items, []byte(","))...), ']'), nil
	}
	for _, key := range keys {
		if value, ok := members[key]; ok {
			delete(members, key)
			name, err := quote(key)
			if err != nil {
				return nil, err
			}
			items = append(items, append(append(name, ':'), value...))
		}
	}
	return append(append([]byte{'{'}, bytes.Join(items, []byte(","))...), '}'), nil
}

func quote(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// values reads a stream of JSON values into canonical form.
func values(t testing.TB, stream []byte) [][]byte {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(stream))
	d.UseNumber()
	var all [][]byte
	for {
		var v any
		if err := d.Decode(&v); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("no stream of JSON: %v\n%s", err, stream)
		}
		canonical, err := json.Marshal(exact(v))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, canonical)
	}
}

// exact replaces numbers by their exact value.
func exact(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = exact(v[k])
		}
	case []any:
		for i := range v {
			v[i] = exact(v[i])
		}
	case json.Number:
		if r, ok := new(big.Rat).SetString(v.String()); ok {
			return map[string]any{"number": r.RatString()}
		}
	}
	return v
}

// parseTime reads the forms of timestamps that the vectors hold.
func parseTime(raw json.RawMessage) (ns int64, ok bool) {
	s := strings.ToUpper(strings.Trim(string(raw), `"`))
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00"} {
		if at, err := time.Parse(layout, s); err == nil {
			return at.UnixNano(), at.Year() >= 1970
		}
	}
	whole, fraction, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n < 0 {
		return 0, false
	}
	unit := int64(1)
	switch {
	case n < 1e11:
		unit = 1e9
	case n < 1e14:
		unit = 1e6
	case n < 1e17:
		unit = 1e3
	}
	n *= unit
	for _, c := range fraction {
		unit /= 10
		n += int64(c-'0') * unit
	}
	return n, true
}
