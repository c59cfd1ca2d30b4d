package rfc5424

import (
	"strconv"

	"github.com/adrian207/siemd/codecs/fields"
)

// AppendOctets appends msg as a frame with its length in octets in front (RFC
// 6587 octet counting, which TLS demands). An empty message makes no frame.
func AppendOctets(dst, msg []byte) []byte {
	if len(msg) == 0 {
		return dst
	}
	dst = strconv.AppendInt(dst, int64(len(msg)), 10)
	return append(append(dst, ' '), msg...)
}

// AppendLine appends msg with a line feed behind it (RFC 6587 non-transparent
// framing). A line feed, CR or NUL inside becomes a space, so that one message
// stays one. An empty message makes no frame.
func AppendLine(dst, msg []byte) []byte {
	if len(msg) == 0 {
		return dst
	}
	n := len(dst)
	dst = append(dst, msg...)
	if frame := dst[n:]; fields.HasControl(frame) {
		for i, c := range frame {
			if c == '\n' || c == '\r' || c == 0 {
				frame[i] = ' '
			}
		}
	}
	return append(dst, '\n')
}
