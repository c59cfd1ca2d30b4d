package wal

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
)

type stateFile struct {
	CRC   string          `json:"crc32c"` // of the bytes of state
	State json.RawMessage `json:"state"`
}

func decodeState(data []byte) (*state, error) {
	var f stateFile
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, err
	}
	if f.CRC != stateSum(f.State) {
		return nil, errors.New("the checksum is wrong")
	}
	var st state
	// The version first: what a newer one wrote may not even decode.
	var v struct{ Version int }
	if err := json.Unmarshal(f.State, &v); err != nil {
		return nil, err
	}
	if v.Version > stateVersion {
		return nil, fmt.Errorf("state version %d: %w", v.Version, ErrNewer)
	}
	if err := json.Unmarshal(f.State, &st); err != nil {
		return nil, err
	}
	return &st, nil
}

func stateSum(b []byte) string { return fmt.Sprintf("%08x", checksum(b)) }

// encodeState does not leave the marks to the library: an input that reads ten
// thousand files has as many, and they are written each time.
func encodeState(st *state) ([]byte, error) {
	rest := *st
	rest.Marks = nil
	text, err := json.Marshal(&rest)
	if err != nil {
		return nil, err
	}
	begin := fmt.Sprintf(`{"crc32c":%q,"state":`, stateSum(nil))
	size := len(begin) + len(text)
	for key, pos := range st.Marks {
		size += len(key) + base64.StdEncoding.EncodedLen(len(pos)) + len(`"":"",`)
	}
	out := make([]byte, 0, size+len(`,"marks":{}}`)+len("}\n"))
	out = append(append(out, begin...), text[:len(text)-1]...)
	if len(st.Marks) > 0 {
		out = append(out, `,"marks":{`...)
		for key, pos := range st.Marks {
			if out, err = appendMark(out, key, pos); err != nil {
				return nil, err
			}
		}
		out[len(out)-1] = '}' // for a comma
	}
	out = append(out, '}')
	copy(out[len(`{"crc32c":"`):], stateSum(out[len(begin):]))
	return append(out, "}\n"...), nil
}

// appendMark appends a member and a comma.
func appendMark(dst []byte, key string, pos []byte) ([]byte, error) {
	plain := true
	for i := range len(key) {
		c := key[i]
		plain = plain && ' ' <= c && c <= '~' && c != '"' && c != '\\'
	}
	if plain {
		dst = append(append(append(dst, '"'), key...), '"')
	} else {
		quoted, err := json.Marshal(key)
		if err != nil {
			return nil, err
		}
		dst = append(dst, quoted...)
	}
	dst = append(dst, `:"`...)
	return append(base64.StdEncoding.AppendEncode(dst, pos), `",`...), nil
}
