package raw

import (
	"testing"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/internal/vectors"
)

func TestBodiesStayAsTheyAre(t *testing.T) {
	got := []byte("x\n")
	var err error
	for _, body := range []string{`{"a": 85.0}`, `{}`} {
		if got, err = (Codec{}).Encode(got, &agent.Event{Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
	}
	if want := "x\n{\"a\": 85.0}\n{}\n"; string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestContract(t *testing.T) { vectors.Contract(t, Codec{}) }

func BenchmarkEncode(b *testing.B) { vectors.Encode(b, Codec{}) }
