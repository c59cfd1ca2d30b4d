package intake

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"github.com/adrian207/siemd/codecs/json"
)

// idPrefix tells ids that siemd made. With 32 digits behind it an id fits the
// 40 characters of CEF's externalId.
const idPrefix = "siemd-"

// addID writes an event_id behind the opening brace, or over one that is there
// and says nothing (null, an empty string).
func (p *Preparer) addID(line []byte, origin string, offset int64) {
	out := p.buf()
	body := p.body()
	if at := p.doc.value[slotID]; at.end > 0 {
		out = append(out, p.src[p.doc.start:at.start]...)
		out = p.appendID(out, line, origin, offset)
		p.become(append(out, p.src[at.end:p.doc.end]...))
		return
	}
	out = append(out, `{"event_id":`...)
	out = p.appendID(out, line, origin, offset)
	empty := true
	json.Walk(body, func(_, _ []byte) bool { empty = false; return false })
	id := span{int32(len(`{"event_id":`)), int32(len(out))}
	if !empty {
		out = append(out, ',')
	}
	p.shift(append(out, body[1:]...), len(out)-1)
	p.doc.value[slotID] = id
}

// shift makes text the event as it stands: the one before with its brace
// replaced by something more bytes longer. What the scan has found moves along.
func (p *Preparer) shift(text []byte, more int) {
	p.bufs[0], p.bufs[1] = p.bufs[1], text
	p.src = text
	by := int32(more) - p.doc.start
	for i, v := range p.doc.value {
		if v.end > 0 {
			p.doc.value[i] = span{v.start + by, v.end + by}
		}
	}
	p.doc.start, p.doc.end = 0, int32(len(text))
}

// appendID appends an id in quotes. It is the same for the same line at the
// same place of the same origin, and else, since the hash is a cryptographic
// one, never the same; without origin it is random.
func (p *Preparer) appendID(dst, line []byte, origin string, offset int64) []byte {
	var sum [sha256.Size]byte
	if origin == "" {
		rand.Read(sum[:16]) // never fails
	} else {
		b := binary.LittleEndian.AppendUint64(p.scratch[:0], uint64(len(origin)))
		b = binary.LittleEndian.AppendUint64(append(b, origin...), uint64(offset))
		b = append(b, line...)
		sum = sha256.Sum256(b)
		p.scratch = b[:0]
	}
	dst = append(dst, '"')
	dst = append(dst, idPrefix...)
	dst = hex.AppendEncode(dst, sum[:16])
	return append(dst, '"')
}
