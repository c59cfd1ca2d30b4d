package main

import (
	"encoding/json"
	"io"
)

// version is what the server says of itself.
func version(body io.Reader) (string, error) {
	var info struct{ Version struct{ Number string } }
	err := json.NewDecoder(body).Decode(&info)
	return info.Version.Number, err
}
