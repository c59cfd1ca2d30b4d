package api

import "encoding/json"

// bytesContainKey reports whether an object has a member of that name.
func bytesContainKey(object []byte, name string) bool {
	var m map[string]json.RawMessage
	return json.Unmarshal(object, &m) == nil && len(m[name]) > 0
}
