package syslog

import (
	"bytes"
	"errors"
	"strconv"

	"github.com/adrian207/siemd/agent"
)

var errEmpty = errors.New("an empty message cannot be sent")

// guess is the room for the count of a message of 100 to 999 bytes.
const guess = len("100 ")

// appendCounted appends the message of e after the number of its bytes and a space (RFC 6587 3.4.1).
func appendCounted(dst []byte, codec agent.Encoder, e *agent.Event) ([]byte, error) {
	start := len(dst)
	out, err := codec.Encode(append(dst, "000 "...), e)
	if err != nil {
		return dst, err
	}
	size := len(out) - start - guess
	if size == 0 {
		return dst, errEmpty
	}
	var buf [20]byte
	count := append(strconv.AppendInt(buf[:0], int64(size), 10), ' ')
	if d := len(count) - guess; d > 0 {
		out = append(out, count[:d]...) // for the room only
		copy(out[start+guess+d:], out[start+guess:start+guess+size])
	} else if d < 0 {
		copy(out[start+guess+d:], out[start+guess:])
		out = out[:len(out)+d]
	}
	copy(out[start:], count)
	return out, nil
}

// appendLine appends the message of e and a line feed (RFC 6587 3.4.2). Codecs
// leave no control characters in a message; a line feed, carriage return or
// NUL that came through nevertheless becomes a space: it would forge a message.
func appendLine(dst []byte, codec agent.Encoder, e *agent.Event) ([]byte, error) {
	start := len(dst)
	out, err := codec.Encode(dst, e)
	if err != nil {
		return dst, err
	}
	message := out[start:]
	if len(message) == 0 {
		return dst, errEmpty
	}
	for _, c := range []byte("\n\r\x00") {
		for i := bytes.IndexByte(message, c); i >= 0; i = bytes.IndexByte(message, c) {
			message[i] = ' '
		}
	}
	return append(out, '\n'), nil
}
