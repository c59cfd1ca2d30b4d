package plugintest

import (
	"errors"
	"strings"

	"github.com/adrian207/siemd/agent"
)

func wordFits(got, want string) bool {
	for w := range strings.SplitSeq(want, "|") {
		if got == w || w == "after" && strings.HasPrefix(got, "after=") {
			return true
		}
	}
	return false
}

// Word names what an error says: "ok" for nil, "none", "permanent", "suspect",
// "too_large", "blocked", "after=2s", or "partial:" and the words of the
// events that failed, each once.
func Word(err error) string {
	var partial *agent.PartialError
	switch wait, after := agent.RetryAfter(err); {
	case err == nil:
		return "ok"
	case errors.As(err, &partial):
		var words []string
		for _, f := range partial.Failed {
			if w := Word(f.Err); len(words) == 0 || words[len(words)-1] != w {
				words = append(words, w)
			}
		}
		return "partial:" + strings.Join(words, "+")
	case agent.IsPermanent(err):
		return "permanent"
	case agent.IsSuspect(err):
		return "suspect"
	case agent.IsTooLarge(err):
		return "too_large"
	case agent.IsBlocked(err):
		return "blocked"
	case after:
		return "after=" + wait.String()
	}
	return "none"
}
