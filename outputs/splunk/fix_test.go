package splunk

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent"
)

// What holds everything comes with what mends it.
func TestFixOfCodes(t *testing.T) {
	for code, want := range map[int]string{1: "enable the token", 4: "check the token", 7: "check index", 10: "ack: true", 14: "ack: false", 28: "ack: true", 6: "", 9: ""} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"text":"no","code":%d}`, code)
		})
		o := newOutput(t, url, nil)
		err := o.Write(t.Context(), batch(t, o, 1))
		var answer *agent.AnswerError
		if !errors.As(err, &answer) || !strings.Contains(answer.Fix, want) || (answer.Fix == "") != (want == "") || (want != "") != agent.IsBlocked(err) {
			t.Errorf("code %d: %v, fix %q, want %q", code, err, answer.Fix, want)
		}
	}
}
