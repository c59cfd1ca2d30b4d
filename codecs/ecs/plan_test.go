package ecs

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
	"github.com/adrian207/siemd/codecs/internal/vectors"
)

func TestEventsThatResembleThoseBefore(t *testing.T) {
	for _, c := range []Config{{App: "zerotrust", Index: "zt-{event_type}-%Y.%m.%d", Routing: "{source}"}, {NoID: true}, {Index: "i", Op: "index"}} {
		vectors.Alike(t, func(r *fields.Repairs) (agent.Encoder, error) {
			c.Repairs = r
			return New(c)
		})
	}
}

// Whatever events come, what a codec keeps of them stays within 8 MB.
func TestACodecKeepsLittle(t *testing.T) {
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	c, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	before := heap()
	var dst []byte
	for n := range 2000 {
		body := fmt.Sprintf(`{"title":"%s","detection":{"detector":"%d"},"a%d":%d`, strings.Repeat("a", 1500), n, n, n)
		for len(body) < 4000 {
			body += fmt.Sprintf(`,"the name of a member, which is rather long so that there are not too many, %d":%d`, n+len(body), n)
		}
		for s := agent.Unset; s <= agent.Critical; s++ {
			e := &agent.Event{ID: []byte("1"), Source: []byte("h"), Severity: s, Type: fmt.Append(nil, n%97), Body: []byte(body + "}")}
			if dst, err = c.Encode(dst[:0], e); err != nil {
				t.Fatal(err)
			}
		}
	}
	if grown := heap() - before; grown > 8<<20 {
		t.Errorf("%d bytes are kept", grown)
	} else if grown < 500<<10 {
		t.Errorf("only %d bytes are kept: nothing was learnt", grown)
	}
	runtime.KeepAlive(c)
}
