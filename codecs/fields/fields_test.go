package fields_test

import (
	"testing"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
	"github.com/adrian207/siemd/codecs/internal/vectors"
)

// reader measures Read alone.
type reader struct{}

func (reader) Encode(dst []byte, e *agent.Event) ([]byte, error) {
	var f fields.Fields
	f.Read(e)
	return append(dst, f.Title...), nil
}

func BenchmarkRead(b *testing.B) { vectors.Encode(b, reader{}) }
